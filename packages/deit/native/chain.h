#pragma once
#include "ort.h"

/* The operation Chain of the domain "deit". */
extern const Operation chain_operation;
