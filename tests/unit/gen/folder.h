/* A folder for the small contracts of one test program: group setup and teardown of cmocka. */
#pragma once

#include "tests/unit/base/unit.h"

#include <stdio.h>
#include <stdlib.h>

static char folder[] = "/tmp/tf-test-gen-XXXXXX";

/* With the directory of the package ticketflow.test.v1. */
static int make_folder(void **state)
{
    char command[256];

    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(command, sizeof command, "mkdir -p %s/ticketflow/test/v1", folder);
    return system(command);
}

static int remove_folder(void **state)
{
    char command[256];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}
