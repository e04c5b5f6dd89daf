// The driver: `yesterfs REPOSITORY MOUNTPOINT [-o options] [-f]`.
internal import FuseMount
internal import Glibc
internal import Platform

exit(Driver.run(System.arguments))
