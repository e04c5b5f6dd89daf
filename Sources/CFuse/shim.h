// libfuse 3, low-level interface. The wrappers stand for macros and variadic functions, which Swift does not import.
#ifndef YESTER_CFUSE_H
#define YESTER_CFUSE_H
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#endif
