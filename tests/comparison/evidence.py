"""Which test or benchmark holds each cell of the README's table, in the order of its columns."""

from collections.abc import Mapping

Evidence = tuple[str, ...]
Row = tuple[Evidence, Evidence, Evidence]

_NETWORK = "tests/comparison/test_network.py::"
_REQUESTS = "tests/comparison/test_requests.py::"
_SCOPE = "tests/comparison/test_scope.py::"
_CRASHES = "tests/outbox/test_crashes.py::"
_CALLS = "tests/comparison/test_network_rows.py::"
_CLIENTS = "tests/comparison/test_client_rows.py::"

ROWS: Mapping[str, Row] = {
    "what it calls": (
        (
            "tests/calls/test_wire_contract.py::test_each_operation_posts_its_body_to_its_path",
            "tests/clients/test_sync_client.py::test_every_method_reaches_the_server",
            "tests/core/test_raw_request.py::test_each_documented_path_can_be_called",
            "tests/transport/test_pool.py::test_calls_in_turn_share_one_connection",
            "tests/test_public_surface.py::test_the_package_is_typed",
        ),
        (f"{_SCOPE}test_httpx_runs_everywhere",),
        (
            f"{_SCOPE}test_the_official_sdk_has_typed_models_for_all_of_sendx",
            f"{_SCOPE}test_the_official_sdk_is_synchronous",
        ),
    ),
    "a server that is silent, or drips": (
        (
            f"{_CALLS}test_row_01_a_silent_server_blocks_nobody_for_ever",
            f"{_CALLS}test_row_01_a_dripping_server_is_cut_off_at_the_deadline",
            f"{_CALLS}test_row_01_there_are_limits_by_default",
        ),
        (
            f"{_NETWORK}test_httpx_ends_a_silence",
            f"{_NETWORK}test_httpx_waits_five_seconds_for_each_read",
        ),
        (
            f"{_NETWORK}test_the_official_sdk_waits_without_a_limit",
            f"{_NETWORK}test_the_official_sdk_takes_a_limit_for_a_call",
        ),
    ),
    "429, or 503 with Retry-After": (
        (
            f"{_CALLS}test_row_02_passing_trouble_is_retried",
            f"{_CALLS}test_row_02_retry_after_is_honoured",
            "tests/calls/test_pauses.py::test_a_refusal_pauses_every_caller",
        ),
        (f"{_NETWORK}test_httpx_repeats_nothing",),
        (f"{_NETWORK}test_the_official_sdk_repeats_nothing",),
    ),
    "no connection, or one lost after sending": (
        (
            f"{_CALLS}test_row_04_a_lost_connection_re_sends_only_what_is_safe",
            f"{_CALLS}test_row_10_network_failures_are_one_hierarchy",
        ),
        (f"{_NETWORK}test_errors_of_httpx_differ_in_type_only",),
        (f"{_NETWORK}test_errors_of_the_official_sdk_are_those_of_urllib3",),
    ),
    "a redirect": (
        (f"{_CALLS}test_row_03_redirects_are_never_followed",),
        (f"{_NETWORK}test_httpx_follows_no_redirect",),
        (f"{_NETWORK}test_the_official_sdk_takes_key_and_contact_to_another_host",),
    ),
    "an unreadable 2xx": (
        (
            f"{_CALLS}test_row_05_an_unreadable_success_is_no_proof_of_anything",
            f"{_CALLS}test_row_05_odd_successes_are_successes",
        ),
        (f"{_REQUESTS}test_httpx_has_a_foreign_error_for_an_unreadable_success",),
        (f"{_REQUESTS}test_the_official_sdk_has_one_for_a_readable_success_too",),
    ),
    "a typo in a field (frist_name)": (
        (
            f"{_CLIENTS}test_row_09_an_unknown_request_key_is_an_error",
            f"{_REQUESTS}test_a_model_of_ours_refuses_a_typo",
        ),
        (f"{_REQUESTS}test_httpx_sends_a_typo",),
        (f"{_REQUESTS}test_the_official_sdk_drops_a_typo",),
    ),
    "the API key": (
        (
            f"{_CLIENTS}test_row_11_debug_logging_does_not_print_the_key",
            "tests/calls/test_secrets.py::test_no_error_shows_the_key_or_the_contact",
            "tests/calls/test_secrets.py::test_no_log_record_or_event_shows_them",
            "tests/clients/test_secrets_at_rest.py::test_nothing_that_a_client_consists_of_shows_the_key",
            "tests/clients/test_secrets_at_rest.py::test_a_client_can_be_neither_pickled_nor_deeply_copied",
        ),
        (f"{_REQUESTS}test_httpx_shows_the_key_in_a_repr_and_in_no_log",),
        (f"{_REQUESTS}test_the_official_sdk_prints_the_key_in_debug_mode_only",),
    ),
    "many contacts": (
        (
            "tests/calls/test_bulk_identify.py::test_one_to_25_contacts_go_in_one_request",
            "tests/streams/test_send_many.py::test_contacts_travel_25_to_a_request",
            "tests/streams/test_order.py::test_random_streams_with_random_faults_lose_mix_up_and_reorder_nothing",
            "tests/streams/test_outage.py::test_an_outage_is_waited_out_and_told",
            "benchmarks/stream_memory.py",
        ),
        (
            f"{_REQUESTS}test_httpx_takes_25_contacts_to_the_bulk_endpoint",
            f"{_REQUESTS}test_a_loop_over_httpx_ends_at_a_503",
        ),
        (
            f"{_REQUESTS}test_the_official_sdk_has_no_way_to_the_bulk_endpoint",
            f"{_REQUESTS}test_a_loop_over_the_official_sdk_ends_at_a_503",
        ),
    ),
    "SendX is down, the process is killed": (
        (
            f"{_CRASHES}test_killed_processes_lose_and_disorder_nothing",
            "benchmarks/outage.py",
            "benchmarks/outbox_drain.py",
        ),
        (f"{_REQUESTS}test_httpx_keeps_nothing_for_later",),
        (f"{_REQUESTS}test_the_official_sdk_keeps_nothing_for_later",),
    ),
    "calls cancelled at any moment": (
        ("tests/transport/test_cancellation.py::test_a_storm_of_cancelled_tasks",),
        (f"{_NETWORK}test_a_cancelled_call_can_cost_httpx_a_connection",),
        (f"{_NETWORK}test_a_call_of_the_official_sdk_goes_on_when_it_is_cancelled",),
    ),
    "processor time of a call: alone; 16 at once": (
        ("benchmarks/cpu_per_call.py",),
        ("benchmarks/cpu_per_call.py",),
        ("benchmarks/cpu_per_call.py",),
    ),
    "import, and the first client": (
        ("benchmarks/import_time.py",),
        ("benchmarks/import_time.py",),
        ("benchmarks/import_time.py",),
    ),
    "needs": (
        (f"{_SCOPE}test_httpcore_and_h11_come_with_httpx",),
        (f"{_SCOPE}test_httpcore_and_h11_come_with_httpx",),
        (f"{_SCOPE}test_the_official_sdk_needs_an_old_urllib3",),
    ),
}
