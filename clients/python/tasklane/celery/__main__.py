"""python -m tasklane.celery [--threads N] [--lane QUEUE=LANE]... APP"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Dict, List, Tuple


def main(arguments: List[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tasklane.celery",
        description="Runs a Celery app as a service of Tasklane: "
                    "--subprocess 'celery/proj=python3 -m tasklane.celery proj:app'")
    parser.add_argument("app", help="as after celery -A: proj, proj:app, proj.celery")
    parser.add_argument("--threads", type=int, default=1, metavar="N",
                        help="tasks at once in each child, in threads (1)")
    parser.add_argument("--lane", type=_pair, action="append", default=[], metavar="QUEUE=LANE",
                        help="where tasks go that tasks submit to a queue; else to its own lane")
    options = parser.parse_args(arguments)
    lanes: Dict[str, str] = {"fast": "fast", "heavy": "heavy", **dict(options.lane)}
    sys.path.insert(0, os.getcwd())
    try:
        from celery.app.utils import find_app
    except ImportError:
        raise SystemExit("Celery is not installed for %s: run this with your app's Python" % sys.executable) from None
    from tasklane.celery.service import CeleryService

    CeleryService(find_app(options.app), max_inflight=options.threads, lanes=lanes).run()


def _pair(text: str) -> Tuple[str, str]:
    name, equals, lane = text.partition("=")
    if not name or not equals or not lane:
        raise argparse.ArgumentTypeError("%r is not QUEUE=LANE" % text)
    return name, lane


if __name__ == "__main__":
    main(sys.argv[1:])
