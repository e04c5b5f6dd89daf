"""The options that subjects have in common, and what is checked of them."""

from .system import Failure


def add_trees(parser):
    parser.add_argument("--small", metavar="DIR",
                        help="a tree with many small files, or \"none\" (default: the largest Python below "
                             "~/.pyenv/versions, otherwise /usr/share)")
    parser.add_argument("--big", metavar="DIR",
                        help="a tree with large files, or \"none\" (default: the Swift toolchain)")


def add_peers(parser, names):
    parser.add_argument("--only", metavar="PEERS", help=f"measure only these, separated by commas: {', '.join(names)}")
    add_builds(parser)


def add_builds(parser):
    parser.add_argument("--also", metavar="NAME=FOLDER", action="append", default=[],
                        help="measure the yester in this folder as well, under this name; can be given several times")


def add_works(parser, names):
    parser.add_argument("--works", metavar="WORKS", help=f"do only these, separated by commas: {', '.join(names)}")


def add_running(parser, runs=3):
    parser.add_argument("--runs", metavar="N", type=int, default=runs,
                        help=f"how often each work is done (default {runs})")
    parser.add_argument("--json", metavar="FILE", help="write all numbers into this file")
    parser.add_argument("--work", metavar="DIR", help="where backups are made (default: a new folder in /var/tmp)")


def add_keep(parser):
    parser.add_argument("--keep", action="store_true",
                        help="keep the backups in the folder of --work, for the next run with the same one")


def check_runs(options):
    if options.runs < 1:
        raise Failure("--runs wants at least 1")


def wanted_works(options, known):
    """Those of the known works that --works names; all without it."""
    if options.works is None:
        return list(known)
    wanted = options.works.split(",")
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise Failure(f"there is no work named {unknown[0]}; there are {', '.join(known)}")
    return [name for name in known if name in wanted]
