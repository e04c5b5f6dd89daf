// The driver: `yesterfs REPOSITORY MOUNTPOINT [-o options] [-f]`.
internal import FuseMount
internal import Glibc

exit(Driver.run(CommandLine.arguments.dropFirst().map { $0 }))
