"""python -m tasklane MODULE:SERVICE runs a service that a module defines."""

from __future__ import annotations

import importlib
import os
import sys
from typing import List

from tasklane.worker.service import Service


def main(arguments: List[str]) -> None:
    module, colon, name = (arguments or [""])[0].partition(":")
    if len(arguments) != 1 or not module or not colon or not name:
        raise SystemExit("usage: python -m tasklane MODULE:SERVICE, such as app:service")
    sys.path.insert(0, os.getcwd())
    service = getattr(importlib.import_module(module), name, None)
    if not isinstance(service, Service):
        raise SystemExit("%s in module %s is no tasklane.Service" % (name, module))
    service.run()


if __name__ == "__main__":
    main(sys.argv[1:])
