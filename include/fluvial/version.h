// The version of fluvial.
#ifndef FLUVIAL_VERSION_H
#define FLUVIAL_VERSION_H

#define FLV_VERSION "0.1.0"

#endif
