"""What every store promises (``test_contract``), and what the journal behind the memory store adds."""
