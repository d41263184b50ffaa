"""What people do with a catalog: say more about a record, keep questions, hand a selection on."""
