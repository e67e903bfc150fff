/* schema/forwarding.h - where Postfix would send an address
 *
 * Internal to schema/; others use mapedit_forwardings() and mailmap_destinations().
 */
#ifndef LODGE_SCHEMA_FORWARDING_H
#define LODGE_SCHEMA_FORWARDING_H

#include "lodge.h"
#include "schema/database.h"

/* A list that long is a loop that fans out; Postfix gives up at 1000. */
#define FORWARDING_STEPS_MAX 100

/* Steps from address, depth first; find is the destinations of a Preset, prepared. */
GPtrArray *forwarding_follow(sqlite3_stmt *find, const char *path, const char *address,
                             const char *recipient_delimiter,
                             GError **error); /* of MapeditForwarding */

/* Where these steps from address end; address itself without any. Free with g_strfreev(). */
char **forwarding_ends(const GPtrArray *steps, const char *address);

#endif
