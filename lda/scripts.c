/* lda/scripts.c - finds the scripts of a recipient, and compiles each once; see scripts.h
 *
 *   path --stat--> device, inode, size, mtime, ctime --cache--> compiled script
 *                                                     |
 *                              open, fstat, read, compile  (only when not in the cache)
 *
 * What lies at a path was put there by its owner: it is opened with the owner's rights,
 * must be a regular file (a FIFO would wait for ever) and is read up to the limit of its size
 * and no further. Below the mail root, where one user may own the files of all, a link
 * must not lead out of it, unless to a script of root's: else complaints would quote files that
 * the recipient may not read.
 */
#include "lda/scripts.h"

#include <sys/stat.h>

#include "lda/maildir_parts.h"
#include "sieve/complaints.h"

enum {
    /* Of compiled scripts in one process: some 400 of 40 lines, which are 10 KiB each. A worker of
     * a large site sees thousands of users, but a script that is not there costs 40 us, and there
     * may be a hundred workers. */
    CACHE_OCTETS = 4 << 20,
    LISTINGS_MAX = 200,
    FRESH_NS = 20 * 1000 * 1000, /* changes within one tick of the file system's clock look equal */
    FILES_MAX = 1000,            /* scripts of one directory */
};

/* What a file is known by. No padding: compared as memory. */
typedef struct {
    guint64 device, inode, size;
    gint64 mtime_s, mtime_ns, ctime_s, ctime_ns;
} FileId;

typedef struct {
    FileId id;
    char *name;
    SieveScript *script; /* NULL: it does not compile */
    GPtrArray *complaints;
    size_t octets; /* of memory, all in all */
    GList link;    /* in Scripts.order */
} Compiled;

/* The names of a directory of before or after. */
typedef struct {
    FileId id;
    GPtrArray *names;
} Listing;

struct Scripts {
    const LdaConfig *config;
    GHashTable *compiled; /* set of Compiled */
    GHashTable *listings; /* path -> Listing */
    GQueue order;         /* of Compiled, the latest used last */
    size_t octets;        /* of all in the cache */
};

/* ---- the cache ----------------------------------------------------------- */

static FileId
file_id(const struct stat *info)
{
    return (FileId){
        .device = info->st_dev,
        .inode = info->st_ino,
        .size = (guint64)info->st_size,
        .mtime_s = info->st_mtim.tv_sec,
        .mtime_ns = info->st_mtim.tv_nsec,
        .ctime_s = info->st_ctim.tv_sec,
        .ctime_ns = info->st_ctim.tv_nsec,
    };
}

static guint
compiled_hash(gconstpointer key)
{
    const Compiled *compiled = key;

    return (guint)(compiled->id.inode * 31 + (guint64)compiled->id.ctime_ns) ^
           g_str_hash(compiled->name);
}

static gboolean
compiled_equal(gconstpointer a, gconstpointer b)
{
    const Compiled *left = a, *right = b;

    return memcmp(&left->id, &right->id, sizeof left->id) == 0 &&
           strcmp(left->name, right->name) == 0;
}

static void
compiled_free(void *data)
{
    Compiled *compiled = data;

    g_free(compiled->name);
    sieve_script_unref(compiled->script);
    g_ptr_array_unref(compiled->complaints);
    g_free(compiled);
}

static void
listing_free(void *data)
{
    Listing *listing = data;

    g_ptr_array_unref(listing->names);
    g_free(listing);
}

Scripts *
scripts_new(const LdaConfig *config)
{
    Scripts *scripts = g_new0(Scripts, 1);

    scripts->config = config;
    scripts->compiled = g_hash_table_new_full(compiled_hash, compiled_equal, compiled_free, NULL);
    scripts->listings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, listing_free);
    return scripts;
}

void
scripts_free(Scripts *scripts)
{
    if (scripts == NULL)
        return;
    g_hash_table_unref(scripts->compiled);
    g_hash_table_unref(scripts->listings);
    g_free(scripts);
}

/* A file that changed just now may change again without looking different. */
static bool
is_fresh(const FileId *id)
{
    gint64 now = g_get_real_time() * 1000;
    gint64 changed = id->ctime_s * G_GINT64_CONSTANT(1000000000) + id->ctime_ns;
    gint64 window = id->ctime_ns == 0 ? 2 * G_GINT64_CONSTANT(1000000000) : FRESH_NS;

    return now - changed < window;
}

static void
drop_oldest(Scripts *scripts)
{
    Compiled *oldest = g_queue_peek_head(&scripts->order);

    scripts->octets -= oldest->octets;
    g_queue_unlink(&scripts->order, &oldest->link);
    g_hash_table_remove(scripts->compiled, oldest);
}

/* What the allocator and the hash table add is in the first figure. */
static size_t
measure(const Compiled *compiled)
{
    size_t octets = 2 * sizeof *compiled + strlen(compiled->name);

    for (guint i = 0; i < compiled->complaints->len; i++) {
        const SieveComplaint *complaint = compiled->complaints->pdata[i];

        octets += sizeof *complaint + strlen(complaint->script) + strlen(complaint->text);
    }
    return octets + (compiled->script == NULL ? 0 : sieve_script_size(compiled->script));
}

static void
remember(Scripts *scripts, Compiled *compiled)
{
    while (scripts->octets > 0 && scripts->octets + compiled->octets > CACHE_OCTETS)
        drop_oldest(scripts);
    scripts->octets += compiled->octets;
    compiled->link.data = compiled;
    g_queue_push_tail_link(&scripts->order, &compiled->link);
    g_hash_table_add(scripts->compiled, compiled);
}

/* ---- reading ------------------------------------------------------------- */

static bool
is_missing(int error)
{
    return error == ENOENT || error == ENOTDIR;
}

static bool
set_errno(GError **error, const char *path)
{
    return maildir_set_errno(error, "read the Sieve script", path);
}

/* The path below root; NULL when it is not there. */
static const char *
below(const char *path, const char *root)
{
    size_t len = strlen(root);

    while (len > 0 && root[len - 1] == '/')
        len--;
    return strncmp(path, root, len) == 0 && path[len] == '/' && path[len + 1] != '/'
               ? path + len + 1
               : NULL;
}

/* Whether the file lies below the mail root, however its path got there. */
static bool
is_below_root(int fd, const char *root)
{
    g_autofree char *name = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *real_root = realpath(root, NULL);
    g_autofree char *real = g_file_read_link(name, NULL);

    return real != NULL && real_root != NULL && below(real, real_root) != NULL;
}

/* For links that are absolute or lead out of the mail root. */
static int
open_link(const char *path, const char *root)
{
    lodge_autofd fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat info;

    if (fd >= 0 && !is_below_root(fd, root) && (fstat(fd, &info) != 0 || info.st_uid != 0)) {
        errno = EXDEV;
        return -1;
    }
    return lodge_steal_fd(&fd);
}

/* -1 and errno. */
static int
open_script(const Scripts *scripts, const char *path)
{
    const char *root = scripts->config->mail.root;
    const char *relative = below(path, root);
    lodge_autofd root_fd = -1;
    int fd;

    if (relative == NULL)
        return open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -1;
    fd = maildir_open_beneath(root_fd, relative, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    return fd < 0 && (errno == EXDEV || errno == ELOOP) ? open_link(path, root) : fd;
}

/* size is what fstat(2) said: when so much is read, nobody asks whether there is more. */
static bool
read_text(int fd, size_t size, size_t limit, GString *text)
{
    for (;;) {
        char buffer[16 * 1024];
        ssize_t got = read(fd, buffer, sizeof buffer);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        g_string_append_len(text, buffer, got);
        if (text->len == size || text->len > limit)
            return true; /* the compiler complains about what is too large */
    }
}

SieveScript *
scripts_compile(const LdaConfig *config, const char *name, const char *text, size_t len,
                GPtrArray *complaints)
{
    g_autoptr(SieveScript) script =
        sieve_script_compile(name, text, len, &config->sieve.engine, complaints);

    if (script != NULL && config->sieve.chosen_engine == SIEVE_ENGINE_LIBSIEVE &&
        !sieve_script_suits_libsieve(script, complaints))
        return NULL;
    return g_steal_pointer(&script);
}

/* Compiles what fd is open at. NULL and errno. */
static Compiled *
compile(const Scripts *scripts, int fd, const char *name)
{
    const SieveSettings *settings = &scripts->config->sieve.engine;
    g_autoptr(GString) text = g_string_new(NULL);
    struct stat info;
    Compiled *compiled;

    if (fstat(fd, &info) != 0)
        return NULL;
    if (S_ISREG(info.st_mode) &&
        !read_text(fd, (size_t)info.st_size, (size_t)settings->max_script_size, text))
        return NULL;
    compiled = g_new0(Compiled, 1);
    compiled->id = file_id(&info);
    compiled->name = g_strdup(name);
    compiled->complaints = sieve_complaints_new();
    if (S_ISREG(info.st_mode))
        compiled->script =
            scripts_compile(scripts->config, name, text->str, text->len, compiled->complaints);
    else
        sieve_complaints_add(compiled->complaints, true, name, 1, 1, "this is not a regular file");
    compiled->octets = measure(compiled);
    return compiled;
}

/* The compiled script at path, of which stat(2) said info: NULL and errno when it cannot be had.
 * Of the cache, or of *own_out, which the caller frees. */
static Compiled *
get(Scripts *scripts, const char *path, const struct stat *info, const char *name,
    Compiled **own_out)
{
    const Compiled wanted = {.id = file_id(info), .name = (char *)name};
    Compiled *found = g_hash_table_lookup(scripts->compiled, &wanted);

    if (found != NULL) {
        g_queue_unlink(&scripts->order, &found->link);
        g_queue_push_tail_link(&scripts->order, &found->link);
        return found;
    }

    lodge_autofd fd = open_script(scripts, path);

    found = fd < 0 ? NULL : compile(scripts, fd, name);
    if (found == NULL)
        return NULL;
    if (is_fresh(&found->id) || g_hash_table_contains(scripts->compiled, found))
        *own_out = found;
    else
        remember(scripts, found);
    return found;
}

/* ---- chains -------------------------------------------------------------- */

static void
link_free(void *data)
{
    ScriptLink *link = data;

    g_free(link->path);
    sieve_script_unref(link->script);
    g_ptr_array_unref(link->complaints);
    g_free(link->version);
    g_free(link);
}

static char *
version_of(const FileId *id)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT ".%" G_GINT64_FORMAT ".%" G_GINT64_FORMAT, id->size,
                           id->mtime_s, id->mtime_ns);
}

static char *
name_of(const char *path)
{
    g_autofree char *base = g_path_get_basename(path);

    return g_str_has_suffix(base, ".sieve") && base[0] != '.'
               ? g_strndup(base, strlen(base) - strlen(".sieve"))
               : g_steal_pointer(&base);
}

static void
add_link(GPtrArray **chain, const char *path, bool is_personal, const Compiled *compiled)
{
    ScriptLink *link = g_new0(ScriptLink, 1);

    link->path = g_strdup(path);
    link->is_personal = is_personal;
    link->script = compiled->script != NULL ? sieve_script_ref(compiled->script) : NULL;
    link->complaints = g_ptr_array_ref(compiled->complaints);
    link->version = version_of(&compiled->id);
    if (*chain == NULL)
        *chain = g_ptr_array_new_with_free_func(link_free);
    g_ptr_array_add(*chain, link);
}

/* Adds the script at path; *found_out says whether there is one. */
static bool
add_file(Scripts *scripts, const char *path, bool is_personal, GPtrArray **chain, bool *found_out,
         GError **error)
{
    g_autofree char *name = NULL;
    Compiled *own = NULL;
    const Compiled *compiled;
    struct stat info;

    *found_out = false;
    if (stat(path, &info) != 0)
        return is_missing(errno) || set_errno(error, path);
    name = name_of(path);
    compiled = get(scripts, path, &info, name, &own);
    if (compiled != NULL)
        add_link(chain, path, is_personal, compiled);
    else if (!is_missing(errno))
        return set_errno(error, path);
    *found_out = compiled != NULL;
    if (own != NULL)
        compiled_free(own);
    return true;
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The *.sieve of a directory, sorted as octets: the same order everywhere. */
static GPtrArray *
read_directory(const char *path, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    if (dir == NULL) {
        (void)set_errno(error, path);
        return NULL;
    }
    while ((name = g_dir_read_name(dir)) != NULL && names->len < FILES_MAX) {
        if (name[0] != '.' && g_str_has_suffix(name, ".sieve"))
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

/* As read_directory(), remembered while the directory stays the same. */
static GPtrArray *
list_directory(Scripts *scripts, const char *path, const struct stat *info, GError **error)
{
    const FileId id = file_id(info);
    Listing *listing = g_hash_table_lookup(scripts->listings, path);
    g_autoptr(GPtrArray) names = NULL;

    if (listing != NULL && memcmp(&listing->id, &id, sizeof id) == 0)
        return g_ptr_array_ref(listing->names);
    names = read_directory(path, error);
    if (names == NULL || is_fresh(&id))
        return g_steal_pointer(&names);
    if (g_hash_table_size(scripts->listings) >= LISTINGS_MAX)
        g_hash_table_remove_all(scripts->listings);
    listing = g_new0(Listing, 1);
    listing->id = id;
    listing->names = g_ptr_array_ref(names);
    g_hash_table_replace(scripts->listings, g_strdup(path), listing);
    return g_steal_pointer(&names);
}

static bool
add_directory(Scripts *scripts, const char *path, const struct stat *info, GPtrArray **chain,
              GError **error)
{
    g_autoptr(GPtrArray) names = list_directory(scripts, path, info, error);
    bool found;

    if (names == NULL)
        return false;
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *file = g_strconcat(path, "/", names->pdata[i], NULL);

        if (!add_file(scripts, file, false, chain, &found, error))
            return false;
    }
    return true;
}

/* A list of [sieve] before or after. */
static bool
add_paths(Scripts *scripts, char *const *templates, const Mailbox *mailbox, const char *home,
          GPtrArray **chain, GError **error)
{
    for (; *templates != NULL; templates++) {
        g_autofree char *path = scripts_path(*templates, mailbox, home, error);
        struct stat info;
        bool found;

        if (path == NULL)
            return false;
        if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)
                ? !add_directory(scripts, path, &info, chain, error)
                : !add_file(scripts, path, false, chain, &found, error))
            return false;
    }
    return true;
}

/* The script of the template; nothing when that is empty. */
static bool
add_template(Scripts *scripts, const char *template, bool is_personal, const Mailbox *mailbox,
             const char *home, GPtrArray **chain, bool *found_out, GError **error)
{
    g_autofree char *path = NULL;

    *found_out = false;
    if (*template == '\0')
        return true;
    path = scripts_path(template, mailbox, home, error);
    return path != NULL && add_file(scripts, path, is_personal, chain, found_out, error);
}

char *
scripts_path(const char *template, const Mailbox *mailbox, const char *home, GError **error)
{
    char *path = config_expand(template, mailbox->user, home, error);

    if (path != NULL && *path != '/' && home == NULL) {
        g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE,
                    "'%s' is below the home of a user, and there is none here", path);
        g_clear_pointer(&path, g_free);
    }
    if (path != NULL && *path != '/') {
        char *joined = g_strconcat(home, "/", path, NULL);

        g_free(path);
        return joined;
    }
    return path;
}

GPtrArray *
scripts_chain(Scripts *scripts, const Mailbox *mailbox, const char *home, GError **error)
{
    const LdaConfig *config = scripts->config;
    const char *own = mailbox->sieve != NULL ? mailbox->sieve : config->sieve.script;
    g_autoptr(GPtrArray) chain = NULL;
    bool found = false;

    if (!add_paths(scripts, config->sieve.before, mailbox, home, &chain, error) ||
        !add_template(scripts, own, true, mailbox, home, &chain, &found, error))
        return NULL;
    if (!found && !add_template(scripts, config->sieve.default_script, false, mailbox, home, &chain,
                                &found, error))
        return NULL;
    if (!add_paths(scripts, config->sieve.after, mailbox, home, &chain, error))
        return NULL;
    return g_steal_pointer(&chain);
}

/* ---- include ------------------------------------------------------------- */

/* A name from a script, which may come out of a variable, never becomes a path. */
static bool
is_name(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > 200 || name[0] == '.' || !g_utf8_validate(name, -1, NULL))
        return false;
    for (; *name != '\0'; name++) {
        if (*name == '/' || g_ascii_iscntrl(*name))
            return false;
    }
    return true;
}

static void
copy_complaints(const GPtrArray *from, GPtrArray *to)
{
    for (guint i = 0; to != NULL && i < from->len; i++) {
        const SieveComplaint *complaint = from->pdata[i];

        sieve_complaints_add(to, complaint->is_error, complaint->script, complaint->line,
                             complaint->column, "%s", complaint->text);
    }
}

bool
scripts_include(Scripts *scripts, const char *directory, const char *name, SieveScript **script_out,
                GPtrArray *complaints, GError **error)
{
    g_autofree char *path = g_strconcat(directory, "/", name, ".sieve", NULL);
    Compiled *own = NULL;
    const Compiled *compiled;
    struct stat info;

    *script_out = NULL;
    if (!is_name(name))
        return true;
    compiled = stat(path, &info) == 0 ? get(scripts, path, &info, name, &own) : NULL;
    if (compiled == NULL)
        return is_missing(errno) || set_errno(error, path);
    copy_complaints(compiled->complaints, complaints);
    if (compiled->script != NULL)
        *script_out = sieve_script_ref(compiled->script);
    if (own != NULL)
        compiled_free(own);
    return true;
}
