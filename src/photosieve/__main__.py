"""Run the command line as `python -m photosieve`."""

from photosieve.cli import main

main()
