"""Matrix instructions (PTX ISA 9.7.14)."""
