/* lda/config_value.h - one value of the configuration, text to member and back
 *
 * Private to config.c and to what parses a value further: what a size, a time, a word of a list
 * look like in the file is known here and nowhere else.
 */
#ifndef LODGE_LDA_CONFIG_VALUE_H
#define LODGE_LDA_CONFIG_VALUE_H

#include "lodge.h"
#include "lda/config.h"

/* Parses text into setting's member of config, whose old value is freed. Fails
 * with CONFIG_ERROR_VALUE; the message says what is expected. */
bool config_value_set(LdaConfig *config, const ConfigSetting *setting, const char *text,
                      GError **error);

/* The member as text, which config_value_set() reads back. Free with g_free(). */
char *config_value_format(const LdaConfig *config, const ConfigSetting *setting);

/* "512", "64K", "10M", "2G": octets. */
bool config_parse_size(const char *text, guint64 *size_out);

/* Frees what the member owns. */
void config_value_clear(LdaConfig *config, const ConfigSetting *setting);

#endif
