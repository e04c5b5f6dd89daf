internal import Glibc
internal import Platform

// The driver: `yesterfs REPOSITORY MOUNTPOINT [-o options] [-f]`.

exit(Driver.run(System.arguments))
