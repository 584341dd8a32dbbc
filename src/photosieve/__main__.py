"""Run the command line as `python -m photosieve`."""

from photosieve.cli.main import main

main()
