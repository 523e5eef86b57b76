"""python -m helpers: the command line."""

import sys

from helpers.system.interrupts import Watch

watch = Watch()
watch.begin()  # before PyTorch is imported, which takes a second or two

from helpers.command_line import main  # noqa: E402

sys.exit(main(watch=watch))
