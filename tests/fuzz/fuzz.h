/* What a harness gives: one function that must survive every input and checks what must hold (TF_ASSERT), and inputs to
 * begin with. Linked with libFuzzer where clang has it, else with driver.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ended by NULL. Seeds are whole inputs; words are spliced in. */
extern const char *const fuzz_seeds[];
extern const char *const fuzz_words[];
