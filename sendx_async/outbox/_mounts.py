"""On which file system a path lies, where the system tells: SQLite needs a local one."""

from pathlib import PurePosixPath

# Their locks or shared memory don't reach from one machine to another as SQLite needs them to.
_NETWORK = frozenset(
    {
        "9pnet", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2", "glusterfs",
        "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb2", "smb3", "smbfs",
        "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs",
    }
)  # fmt: skip


def network_file_system(path: str, mounts: str) -> str | None:
    """Return the kind of network file system that a path lies on, or None for a local one.

    Args:
        path: An absolute path without symbolic links.
        mounts: What the system has mounted, as ``/proc/self/mounts`` has it.
    """
    kind, longest = "", -1
    for line in mounts.splitlines():
        _, point, found, *_ = line.split(" ")
        # Blanks and the like stand there as octal numbers.
        place = PurePosixPath(point.encode("latin-1", "replace").decode("unicode_escape"))
        if PurePosixPath(path).is_relative_to(place) and len(place.parts) >= longest:
            kind, longest = found, len(place.parts)
    return kind if kind in _NETWORK else None
