"""What people and programs are told before, during and after an import."""
