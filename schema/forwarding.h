/* schema/forwarding.h - where Postfix would send an address; see mapedit_forwardings() */
#ifndef LODGE_SCHEMA_FORWARDING_H
#define LODGE_SCHEMA_FORWARDING_H

#include "lodge.h"
#include "schema/database.h"

GPtrArray *forwarding_follow(sqlite3 *db, const char *path, const char *address,
                             const char *recipient_delimiter, GError **error);

#endif
