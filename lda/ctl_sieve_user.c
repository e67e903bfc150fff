/* lda/ctl_sieve_user.c - where the scripts of a user are, and what is wrong with them
 *
 *   address --mailmap--> mailbox --[sieve] script, script_dir--> paths
 *
 * See ctl_sieve_user.h. Includes are looked for where delivery looks for them; the world they are
 * checked in is that of `lodge sieve check`.
 */
#include "lda/ctl_sieve_user.h"

#include "lda/ctl_sieve.h"
#include "lda/lda.h"

enum { MAX_NAME = 200 }; /* octets: with the suffix well below what file systems take */

/* A template of the configuration or the row, below home unless it is absolute. */
static char *
expand(const char *template, const Mailbox *mailbox, const char *home, GError **error)
{
    g_autofree char *path = config_expand(template, mailbox->user, home, error);

    if (path == NULL || *path == '/')
        return g_steal_pointer(&path);
    return g_build_filename(home, path, NULL);
}

UserScripts *
user_scripts_find(const LdaConfig *config, Mailmap *map, const char *address, GError **error)
{
    g_autoptr(UserScripts) scripts = g_new0(UserScripts, 1);
    g_autofree char *maildir = NULL;

    scripts->mailbox = mailmap_lookup(map, address, error);
    if (scripts->mailbox == NULL ||
        !lda_mailbox_paths(config, scripts->mailbox, &scripts->home, &maildir, error))
        return NULL;
    const char *active =
        scripts->mailbox->sieve != NULL ? scripts->mailbox->sieve : config->sieve.script;
    scripts->active = expand(active, scripts->mailbox, scripts->home, error);
    if (scripts->active == NULL)
        return NULL;
    scripts->directory = expand(config->sieve.script_dir, scripts->mailbox, scripts->home, error);
    if (scripts->directory == NULL)
        return NULL;
    /* Without root there is nobody else's right to take. */
    if (geteuid() == 0) {
        scripts->owner = ctl_mailbox_owner(config, scripts->mailbox, error);
        if (scripts->owner == NULL)
            return NULL;
    }
    return g_steal_pointer(&scripts);
}

void
user_scripts_free(UserScripts *scripts)
{
    if (scripts == NULL)
        return;
    mailbox_free(scripts->mailbox);
    g_free(scripts->home);
    g_free(scripts->active);
    g_free(scripts->directory);
    privileges_free(scripts->owner);
    g_free(scripts);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *
user_scripts_list(const UserScripts *scripts, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) failure = NULL;
    g_autoptr(GDir) directory = g_dir_open(scripts->directory, 0, &failure);
    const char *file = NULL;

    if (directory == NULL && !g_error_matches(failure, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    while (directory != NULL && (file = g_dir_read_name(directory)) != NULL) {
        if (*file != '.' && g_str_has_suffix(file, ".sieve"))
            g_ptr_array_add(names, g_strndup(file, strlen(file) - strlen(".sieve")));
    }
    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

static bool
is_name(const char *name)
{
    if (*name == '\0' || *name == '.' || strlen(name) > MAX_NAME ||
        !g_utf8_validate(name, -1, NULL))
        return false;
    for (const char *p = name; *p != '\0'; p = g_utf8_next_char(p)) {
        if (*p == '/' || g_unichar_iscntrl(g_utf8_get_char(p)))
            return false;
    }
    return true;
}

char *
user_scripts_path(const UserScripts *scripts, const char *name, GError **error)
{
    if (!is_name(name)) {
        g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE,
                    "'%s' is no name of a script: it may have no slash, not begin with a dot, and "
                    "be %d octets long",
                    name, MAX_NAME);
        return NULL;
    }
    return g_strdup_printf("%s/%s.sieve", scripts->directory, name);
}

char *
user_scripts_active(const UserScripts *scripts)
{
    g_autofree char *target = g_file_read_link(scripts->active, NULL);
    g_autofree char *base = g_path_get_dirname(scripts->active);
    g_autofree char *path = target == NULL ? NULL : g_canonicalize_filename(target, base);
    g_autofree char *directory = path == NULL ? NULL : g_path_get_dirname(path);
    g_autofree char *name = path == NULL ? NULL : g_path_get_basename(path);

    if (name == NULL || strcmp(directory, scripts->directory) != 0 ||
        !g_str_has_suffix(name, ".sieve"))
        return NULL;
    return g_strndup(name, strlen(name) - strlen(".sieve"));
}

GPtrArray *
user_scripts_check(const UserScripts *scripts, const LdaConfig *config, const char *name,
                   const char *text, size_t len)
{
    const TrialOptions options = {
        .script_dir = scripts->directory,
        .global_dir = *config->sieve.global_dir != '\0' ? config->sieve.global_dir : NULL,
    };
    /* Nothing is opened here, so nothing fails. */
    g_autoptr(TrialWorld) world = trial_world_new(config, &options, NULL);
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    g_autoptr(SieveScript) script = trial_world_compile(world, name, text, len, complaints);

    if (script != NULL)
        (void)sieve_script_check_includes(script, trial_world_host(world), &config->sieve.engine,
                                          complaints);
    return g_steal_pointer(&complaints);
}
