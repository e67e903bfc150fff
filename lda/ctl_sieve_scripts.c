/* lda/ctl_sieve_scripts.c - `lodge sieve list, get, put, activate, deactivate, delete`
 *
 *   put       text --compile--> %h/sieve/.NAME.sieve.new --fsync, rename--> %h/sieve/NAME.sieve
 *   activate  %h/.dovecot.sieve.new -> sieve/NAME.sieve --rename--> %h/.dovecot.sieve
 *
 * What ManageSieve does, for whoever has a shell. Nothing that does not compile is stored or
 * made active; a delivery sees the old script or the new one, whole. All with the rights of the
 * user, which are the owner's uid and gid.
 */
#include "lda/ctl_sieve_user.h"

#include "lda/ctl_sieve.h"

#include <sys/stat.h>

typedef struct {
    CtlContext *ctl;
    const LdaConfig *config;
    UserScripts *scripts;
    const char *name; /* of the script; NULL: the command takes none */
    const char *file; /* of put; NULL: standard input */
    GString *out;
} Request;

/* ---- list and get -------------------------------------------------------- */

static bool
list(Request *request, GError **error)
{
    g_autoptr(GPtrArray) names = user_scripts_list(request->scripts, error);
    g_autofree char *active = user_scripts_active(request->scripts);

    if (names == NULL)
        return false;
    if (request->ctl->json)
        ctl_json_raw(request->out, NULL, "[");
    for (unsigned i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        bool is_active = active != NULL && strcmp(name, active) == 0;

        if (request->ctl->json) {
            ctl_json_raw(request->out, NULL, "{");
            ctl_json_text(request->out, "name", name);
            trial_json_bool(request->out, "active", is_active);
            g_string_append_c(request->out, '}');
        } else {
            g_string_append_printf(request->out, "%s%s%s", i > 0 ? "\n" : "", name,
                                   is_active ? " (active)" : "");
        }
    }
    if (request->ctl->json)
        g_string_append_c(request->out, ']');
    return true;
}

static bool
get(Request *request, GError **error)
{
    g_autofree char *path = user_scripts_path(request->scripts, request->name, error);
    g_autofree char *text = NULL;
    size_t len = 0;

    if (path == NULL || !g_file_get_contents(path, &text, &len, error))
        return false;
    g_string_append_len(request->out, text, (gssize)len);
    return true;
}

/* ---- put ----------------------------------------------------------------- */

static bool
refuse(Request *request, const GPtrArray *complaints, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    trial_append_complaints(text, complaints);
    (void)fputs(text->str, stderr);
    g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE, "script '%s' does not compile",
                request->name);
    return false;
}

static bool
compiles(Request *request, const char *text, size_t len, GError **error)
{
    g_autoptr(GPtrArray) complaints =
        user_scripts_check(request->scripts, request->config, request->name, text, len);

    return sieve_complaints_errors(complaints) == 0 || refuse(request, complaints, error);
}

/* Makes the directory of path durable, and so what was renamed in it. */
static bool
sync_directory_of(const char *path, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    lodge_autofd fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0)
        return lodge_set_errno(error, "sync '%s'", directory);
    return true;
}

static bool
store(const char *path, const char *text, size_t len, GError **error)
{
    /* Writes beside the file, syncs, and renames. */
    return g_file_set_contents_full(path, text, (gssize)len,
                                    G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
                                    0600, error) &&
           sync_directory_of(path, error);
}

static GByteArray *
read_all(int fd, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    uint8_t buffer[64 * 1024];
    ssize_t got = 0;

    while ((got = read(fd, buffer, sizeof buffer)) > 0)
        g_byte_array_append(bytes, buffer, (unsigned)got);
    if (got < 0) {
        (void)lodge_set_errno(error, "read the script");
        return NULL;
    }
    g_byte_array_append(bytes, (const uint8_t *)"", 1); /* never NULL */
    return g_steal_pointer(&bytes);
}

/* Opened with the rights of whoever asks, before those of the user are taken. */
static int
open_source(const Request *request, GError **error)
{
    bool is_stdin = request->file == NULL || strcmp(request->file, "-") == 0;
    int fd = is_stdin ? dup(STDIN_FILENO) : open(request->file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        (void)lodge_set_errno(error, "open '%s'", request->file);
    return fd;
}

static bool
put_text(Request *request, const char *text, size_t len, GError **error)
{
    g_autofree char *path = user_scripts_path(request->scripts, request->name, error);

    if (path == NULL || !compiles(request, text, len, error))
        return false;
    if (g_mkdir_with_parents(request->scripts->directory, 0700) != 0)
        return lodge_set_errno(error, "make '%s'", request->scripts->directory);
    return store(path, text, len, error);
}

/* ---- activate and delete ------------------------------------------------- */

/* A file that is no link is somebody's only copy. */
static bool
is_replaceable(const UserScripts *scripts, GError **error)
{
    struct stat status;

    if (lstat(scripts->active, &status) != 0 || S_ISLNK(status.st_mode))
        return true;
    g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE,
                "'%s' is a script and no link: put it among the others first, and remove it",
                scripts->active);
    return false;
}

/* What the link says: relative where the directory lies beside it, so that a home may move. */
static char *
link_target(const UserScripts *scripts, const char *path)
{
    g_autofree char *base = g_path_get_dirname(scripts->active);
    g_autofree char *prefix = g_strconcat(base, "/", NULL);

    return g_strdup(g_str_has_prefix(path, prefix) ? path + strlen(prefix) : path);
}

static bool
replace_link(const UserScripts *scripts, const char *path, GError **error)
{
    g_autofree char *target = link_target(scripts, path);
    g_autofree char *new = g_strconcat(scripts->active, ".new", NULL);

    if (unlink(new) != 0 && errno != ENOENT)
        return lodge_set_errno(error, "remove '%s'", new);
    if (symlink(target, new) != 0)
        return lodge_set_errno(error, "make the link '%s'", new);
    if (rename(new, scripts->active) != 0)
        return lodge_set_errno(error, "rename '%s' to '%s'", new, scripts->active);
    return sync_directory_of(scripts->active, error);
}

static bool
activate(Request *request, GError **error)
{
    g_autofree char *path = user_scripts_path(request->scripts, request->name, error);
    g_autofree char *text = NULL;
    size_t len = 0;

    return path != NULL && is_replaceable(request->scripts, error) &&
           g_file_get_contents(path, &text, &len, error) && compiles(request, text, len, error) &&
           replace_link(request->scripts, path, error);
}

static bool
deactivate(Request *request, GError **error)
{
    if (!is_replaceable(request->scripts, error))
        return false;
    if (unlink(request->scripts->active) == 0)
        return sync_directory_of(request->scripts->active, error);
    return errno == ENOENT || lodge_set_errno(error, "remove '%s'", request->scripts->active);
}

static bool
delete_script(Request *request, GError **error)
{
    g_autofree char *path = user_scripts_path(request->scripts, request->name, error);
    g_autofree char *active = user_scripts_active(request->scripts);

    if (path == NULL)
        return false;
    if (g_strcmp0(active, request->name) == 0) {
        g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE,
                    "script '%s' is active: activate another one, or none, first", request->name);
        return false;
    }
    if (unlink(path) != 0)
        return lodge_set_errno(error, "remove '%s'", path);
    return sync_directory_of(path, error);
}

/* ---- the commands -------------------------------------------------------- */

/* Finds the user and does what is asked with the user's rights. */
static bool
with_rights(Request *request, const char *address, bool (*act)(Request *, GError **),
            GError **error)
{
    Mailmap *map = ctl_open_mailmap(request->ctl, error);

    if (map == NULL)
        return false;
    request->config = ctl_config(request->ctl, error);
    request->scripts = user_scripts_find(request->config, map, address, error);
    mailmap_close(map);
    if (request->scripts == NULL ||
        (request->scripts->owner != NULL && !privileges_borrow(request->scripts->owner, error)))
        return false;
    bool done = act(request, error);
    if (request->scripts->owner != NULL)
        privileges_return();
    return done;
}

static int
run(CtlContext *ctl, int argc, char **argv, int min, int max, bool (*act)(Request *, GError **))
{
    g_autoptr(GString) out = g_string_new(NULL);
    Request request = {.ctl = ctl, .out = out};
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, NULL, min, max, &status))
        return status;
    request.name = argc > 2 ? argv[2] : NULL;
    request.file = argc > 3 ? argv[3] : NULL;
    bool done = with_rights(&request, argv[1], act, &error);
    user_scripts_free(request.scripts);
    if (!done)
        return ctl_fail(ctl, error);
    if (act == get) /* as it is, to the octet */
        return fwrite(out->str, 1, out->len, stdout) == out->len && fflush(stdout) == 0
                   ? CTL_OK
                   : CTL_REFUSED;
    return out->len > 0 ? ctl_print(ctl, out->str) : CTL_OK;
}

static bool
put(Request *request, GError **error)
{
    privileges_return();
    lodge_autofd fd = open_source(request, error);
    g_autoptr(GByteArray) bytes = fd < 0 ? NULL : read_all(fd, error);

    if (bytes == NULL ||
        (request->scripts->owner != NULL && !privileges_borrow(request->scripts->owner, error)))
        return false;
    return put_text(request, (const char *)bytes->data, bytes->len - 1, error);
}

int
ctl_sieve_list(CtlContext *ctl, int argc, char **argv)
{
    return run(ctl, argc, argv, 1, 1, list);
}

int
ctl_sieve_get(CtlContext *ctl, int argc, char **argv)
{
    return run(ctl, argc, argv, 2, 2, get);
}

int
ctl_sieve_put(CtlContext *ctl, int argc, char **argv)
{
    return run(ctl, argc, argv, 2, 3, put);
}

int
ctl_sieve_activate(CtlContext *ctl, int argc, char **argv)
{
    return run(ctl, argc, argv, 2, 2, activate);
}

int
ctl_sieve_deactivate(CtlContext *ctl, int argc, char **argv)
{
    return run(ctl, argc, argv, 1, 1, deactivate);
}

int
ctl_sieve_delete(CtlContext *ctl, int argc, char **argv)
{
    return run(ctl, argc, argv, 2, 2, delete_script);
}
