"""`python -m ptxjit`."""
from .cli import main

main()
