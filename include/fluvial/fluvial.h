// Everything.
#ifndef FLUVIAL_FLUVIAL_H
#define FLUVIAL_FLUVIAL_H

#include "fluvial/assess.h"
#include "fluvial/blas.h"
#include "fluvial/config.h"
#include "fluvial/env.h"
#include "fluvial/estimators.h"
#include "fluvial/gradients.h"
#include "fluvial/molecule_eval.h"
#include "fluvial/molecule_reward.h"
#include "fluvial/objective.h"
#include "fluvial/objects.h"
#include "fluvial/reward.h"
#include "fluvial/run.h"
#include "fluvial/seeds.h"
#include "fluvial/status.h"
#include "fluvial/structure.h"
#include "fluvial/synth.h"
#include "fluvial/table.h"
#include "fluvial/tensor.h"
#include "fluvial/trainer.h"
#include "fluvial/version.h"

#endif
