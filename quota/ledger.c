/* quota/ledger.c - the file "lodge-quota"; see ledger.h
 *
 * All of it is one page, and words of 64 bits, little-endian since hosts may share it. It needs no
 * room on the disk once it is made. No value in it can do harm: a sum is capped, a slot that nobody
 * locks is cleared.
 *
 * Neither is the file ever replaced nor removed by us, so that all who have it open have the
 * same. Somebody else may (a backup that is restored): who takes the mutex of a file that is gone
 * opens it anew.
 */
#include "quota/ledger.h"

#include <sched.h>
#include <sys/stat.h>

#include "quota/create.h"
#include "quota/rules.h"

static const char file_name[] = "lodge-quota";

enum {
    WORD_MAGIC,
    WORD_REFUSED,
    WORD_COUNT_INODE,
    WORD_COUNT_OCTETS,
    WORD_COUNT_MESSAGES,
    WORD_LEVEL,
    WORD_WARNED, /* percent, up, down for each */
    WORD_TOP = WORD_WARNED + QUOTA_MAX_WARNINGS * 3,
    WORD_COUNTED,
    STATE_WORDS = 32,
    WORD_FILE_INODE = STATE_WORDS,
    WORD_FILE_SIZE,
    WORD_FILE_MODIFIED,
    WORD_FILE_CHANGED,
    WORD_FILE_LIMIT_OCTETS,
    WORD_FILE_LIMIT_MESSAGES,
    WORD_FILE_COUNTED_OCTETS,
    WORD_FILE_COUNTED_MESSAGES,
    WORD_FILE_OCTETS,
    WORD_FILE_MESSAGES,
    WORD_FILE_LINES,
    WORD_SLOTS = STATE_WORDS + 12,
    SLOT_WORDS = 4, /* octets, in use, folder, name */
    SLOT_NAME = 3,
    FIRST_SLOTS = 8, /* all that are read, but by who finds more in use */
    FIRST_WORDS = WORD_SLOTS + FIRST_SLOTS * SLOT_WORDS
};

G_STATIC_ASSERT(WORD_SLOTS + LEDGER_SLOTS * SLOT_WORDS == LEDGER_WORDS);
G_STATIC_ASSERT(WORD_COUNTED < STATE_WORDS && WORD_FILE_LINES < WORD_SLOTS);

/* "LODGEQ02" read as a number: name and version of the format. */
static const guint64 magic = G_GUINT64_CONSTANT(0x3230514547444f4c);

static off_t
offset_of_word(unsigned word)
{
    return (off_t)word * (off_t)sizeof(guint64);
}

static off_t
offset_of_slot(unsigned slot)
{
    return offset_of_word(WORD_SLOTS + slot * SLOT_WORDS);
}

/* ---- words ---------------------------------------------------------------- */

/* *len_out is how many octets of them there are. */
static bool
read_words(const Ledger *ledger, unsigned first, guint64 *words, size_t count, size_t *len_out,
           GError **error)
{
    ssize_t len = pread(ledger->fd, words, count * sizeof *words, offset_of_word(first));

    if (len < 0)
        return lodge_set_errno(error, "read '%s'", file_name);
    *len_out = (size_t)len;
    for (size_t i = 0; i < count; i++)
        words[i] = GUINT64_FROM_LE(words[i]);
    return true;
}

static bool
write_words(const Ledger *ledger, unsigned first, const guint64 *words, size_t count,
            GError **error)
{
    guint64 encoded[LEDGER_WORDS];
    size_t len = count * sizeof *words;

    g_assert(first + count <= LEDGER_WORDS);
    for (size_t i = 0; i < count; i++)
        encoded[i] = GUINT64_TO_LE(words[i]);

    ssize_t written = pwrite(ledger->fd, encoded, len, offset_of_word(first));

    if (written >= 0 && written != (ssize_t)len)
        errno = ENOSPC;
    return written == (ssize_t)len || lodge_set_errno(error, "write '%s'", file_name);
}

static void
decode_state(const guint64 *words, LedgerState *state)
{
    *state = (LedgerState){.refused_us = (gint64)words[WORD_REFUSED],
                           .count_inode = words[WORD_COUNT_INODE],
                           .count_octets = words[WORD_COUNT_OCTETS],
                           .count_messages = words[WORD_COUNT_MESSAGES],
                           .counted_us = (gint64)words[WORD_COUNTED],
                           .warnings.level = words[WORD_LEVEL],
                           .top = words[WORD_TOP]};
    for (size_t i = 0; i < QUOTA_MAX_WARNINGS; i++) {
        const guint64 *stamps = words + WORD_WARNED + 3 * i;

        state->warnings.warned[i] = (QuotaWarned){
            .percent = stamps[0], .up_us = (gint64)stamps[1], .down_us = (gint64)stamps[2]};
    }
}

static void
encode_state(const LedgerState *state, guint64 *words)
{
    words[WORD_MAGIC] = magic;
    words[WORD_REFUSED] = (guint64)state->refused_us;
    words[WORD_COUNT_INODE] = state->count_inode;
    words[WORD_COUNT_OCTETS] = state->count_octets;
    words[WORD_COUNT_MESSAGES] = state->count_messages;
    words[WORD_COUNTED] = (guint64)state->counted_us;
    words[WORD_LEVEL] = state->warnings.level;
    words[WORD_TOP] = state->top;
    for (size_t i = 0; i < QUOTA_MAX_WARNINGS; i++) {
        const QuotaWarned *warned = &state->warnings.warned[i];

        words[WORD_WARNED + 3 * i] = warned->percent;
        words[WORD_WARNED + 3 * i + 1] = (guint64)warned->up_us;
        words[WORD_WARNED + 3 * i + 2] = (guint64)warned->down_us;
    }
}

static void
decode_known(const guint64 *words, UsageKnown *known)
{
    *known =
        (UsageKnown){.stamp = {.inode = words[WORD_FILE_INODE],
                               .size = words[WORD_FILE_SIZE],
                               .modified_ns = (gint64)words[WORD_FILE_MODIFIED],
                               .changed_ns = (gint64)words[WORD_FILE_CHANGED]},
                     .content = {.limits = {.octets = words[WORD_FILE_LIMIT_OCTETS],
                                            .messages = words[WORD_FILE_LIMIT_MESSAGES]},
                                 .counted = {.octets = (gint64)words[WORD_FILE_COUNTED_OCTETS],
                                             .messages = (gint64)words[WORD_FILE_COUNTED_MESSAGES]},
                                 .sum = {.octets = (gint64)words[WORD_FILE_OCTETS],
                                         .messages = (gint64)words[WORD_FILE_MESSAGES]},
                                 .lines = (unsigned)words[WORD_FILE_LINES]}};
    known->content.is_damaged =
        known->stamp.inode == 0 || known->content.sum.octets < 0 || known->content.sum.messages < 0;
}

/* words begin with that of the inode. */
static void
encode_known(const UsageKnown *known, guint64 *words)
{
    const MaildirsizeContent *content = &known->content;
    const guint64 encoded[] = {known->stamp.inode,
                               known->stamp.size,
                               (guint64)known->stamp.modified_ns,
                               (guint64)known->stamp.changed_ns,
                               content->limits.octets,
                               content->limits.messages,
                               (guint64)content->counted.octets,
                               (guint64)content->counted.messages,
                               (guint64)content->sum.octets,
                               (guint64)content->sum.messages,
                               content->lines};

    memcpy(words, encoded, sizeof encoded);
}

static bool
is_in_use(const guint64 *slot)
{
    return slot[0] != 0 || slot[1] != 0 || slot[2] != 0 || slot[3] != 0;
}

static bool
clear_slot(const Ledger *ledger, unsigned slot, GError **error)
{
    const guint64 words[SLOT_WORDS] = {0};

    return write_words(ledger, WORD_SLOTS + slot * SLOT_WORDS, words, SLOT_WORDS, error);
}

/* ---- locks ---------------------------------------------------------------- */

static off_t
mutex(void)
{
    return offset_of_slot(0) - 1;
}

/* F_WRLCK or F_UNLCK of so many octets. False with EAGAIN: somebody else has one of them. */
static bool
set_lock(int fd, short type, off_t octet, off_t count)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = octet, .l_len = count};
    int result;

    do {
        result = fcntl(fd, F_OFD_SETLK, &lock);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno == EACCES) /* POSIX allows either */
        errno = EAGAIN;
    return result == 0;
}

/* The mutex is mostly free, or free in microseconds; a count may take longer. */
static bool
wait_for_mutex(int fd, gint64 deadline_us, GError **error)
{
    gulong pause_us = 50;

    for (unsigned tries = 0; !set_lock(fd, F_WRLCK, mutex(), 1); tries++) {
        if (errno != EAGAIN)
            return lodge_set_errno(error, "lock '%s'", file_name);
        if (g_get_monotonic_time() >= deadline_us) {
            g_set_error(error, QUOTA_ERROR, QUOTA_ERROR_BUSY,
                        "cannot lock '%s': others hold the mailbox", file_name);
            return false;
        }
        if (tries < 4) {
            (void)sched_yield();
        } else {
            g_usleep(pause_us);
            pause_us = MIN(2 * pause_us, 5000);
        }
    }
    return true;
}

/* Whether somebody else holds that slot. */
static bool
is_alive(const Ledger *ledger, unsigned slot, bool *is_alive_out, GError **error)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset_of_slot(slot), .l_len = 1};

    if (fcntl(ledger->fd, F_OFD_GETLK, &lock) != 0)
        return lodge_set_errno(error, "look at the locks of '%s'", file_name);
    *is_alive_out = lock.l_type != F_UNLCK;
    return true;
}

/* ---- entering ------------------------------------------------------------- */

void
ledger_init(Ledger *ledger, int maildir_fd)
{
    memset(ledger, 0, offsetof(Ledger, words));
    ledger->dir_fd = maildir_fd;
    ledger->fd = ledger->slot = -1;
}

void
ledger_close(Ledger *ledger)
{
    lodge_close(&ledger->fd);
    ledger->slot = -1;
    ledger->has_first = false;
}

void
ledger_leave(Ledger *ledger)
{
    if (ledger->slot < 0)
        ledger_close(ledger);
    else /* what is locked can be unlocked; the first slot may have come with the mutex */
        (void)set_lock(ledger->fd, F_UNLCK, mutex(), ledger->slot == 0 ? 1 : 2);
}

/* -1 with ENOENT: there is none, and none was to be made. */
static int
open_file(int dir_fd, bool make)
{
    int fd = -1;

    for (unsigned tries = 0; fd < 0 && tries < 3; tries++) { /* others make and remove it */
        fd = openat(dir_fd, file_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 || errno != ENOENT || !make)
            return fd;
        fd = quota_create_file(dir_fd, file_name, 0);
        if (fd < 0 && errno != EEXIST)
            return fd;
    }
    return fd;
}

/* The mutex, with the first slot when nobody has it: we may want it. */
static bool
lock_opened(Ledger *ledger, gint64 deadline_us, GError **error)
{
    ledger->has_first = set_lock(ledger->fd, F_WRLCK, mutex(), 2);
    return ledger->has_first || wait_for_mutex(ledger->fd, deadline_us, error);
}

/* Opens the file and takes the mutex of the one that is there then. */
static bool
open_and_lock(Ledger *ledger, bool make, gint64 deadline_us, GError **error)
{
    for (;;) {
        struct stat status;

        ledger->fd = open_file(ledger->dir_fd, make);
        if (ledger->fd < 0)
            return (errno == ENOENT && !make) || lodge_set_errno(error, "open '%s'", file_name);
        if (!lock_opened(ledger, deadline_us, error))
            return false;
        if (fstat(ledger->fd, &status) != 0)
            return lodge_set_errno(error, "stat '%s'", file_name);
        if (!S_ISREG(status.st_mode)) {
            errno = EINVAL;
            return lodge_set_errno(error, "use '%s', which is not a file", file_name);
        }
        if (status.st_nlink > 0)
            return true;
        lodge_close(&ledger->fd); /* gone while we waited */
    }
}

static void
forget_content(Ledger *ledger)
{
    memset(ledger->words, 0, FIRST_WORDS * sizeof *ledger->words);
    ledger->slot_count = FIRST_SLOTS;
}

static bool
make_anew(Ledger *ledger, GError **error)
{
    guint64 words[LEDGER_WORDS] = {0};

    forget_content(ledger);
    ledger->state = ledger->saved = (LedgerState){0};
    encode_state(&ledger->state, words);
    if (!write_words(ledger, 0, words, LEDGER_WORDS, error))
        return false;
    ledger->is_damaged = false;
    return ftruncate(ledger->fd, offset_of_word(LEDGER_WORDS)) == 0 ||
           lodge_set_errno(error, "shorten '%s'", file_name);
}

/* The first slots, or all when others may be in use. */
static bool
read_content(Ledger *ledger, size_t *len_out, GError **error)
{
    size_t wanted = FIRST_WORDS;

    ledger->slot_count = FIRST_SLOTS;
    if (!read_words(ledger, 0, ledger->words, wanted, len_out, error))
        return false;
    if (*len_out == wanted * sizeof *ledger->words && ledger->words[WORD_TOP] > FIRST_SLOTS) {
        wanted = LEDGER_WORDS;
        ledger->slot_count = LEDGER_SLOTS;
        if (!read_words(ledger, 0, ledger->words, wanted, len_out, error))
            return false;
    }
    ledger->is_damaged = *len_out > 0 && (*len_out < wanted * sizeof *ledger->words ||
                                          ledger->words[WORD_MAGIC] != magic);
    return true;
}

/* An empty file is one that its maker has not come to fill: nothing is lost with it. */
static bool
read_file(Ledger *ledger, bool make, GError **error)
{
    size_t len = 0;

    if (!read_content(ledger, &len, error))
        return false;
    if (len == 0 || ledger->is_damaged)
        forget_content(ledger);
    decode_state(ledger->words, &ledger->state);
    decode_known(ledger->words, &ledger->known);
    ledger->saved = ledger->state;
    return len > 0 || !make || make_anew(ledger, error);
}

static bool
enter(Ledger *ledger, bool make, unsigned timeout_ms, GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    bool done = ledger->fd >= 0 ? wait_for_mutex(ledger->fd, deadline_us, error)
                                : open_and_lock(ledger, make, deadline_us, error);

    if (done && (ledger->fd < 0 || read_file(ledger, make, error)))
        return true;
    ledger_leave(ledger); /* a reservation stays */
    return false;
}

bool
ledger_enter(Ledger *ledger, unsigned timeout_ms, GError **error)
{
    return enter(ledger, true, timeout_ms, error);
}

bool
ledger_enter_existing(Ledger *ledger, unsigned timeout_ms, bool *exists_out, GError **error)
{
    bool done = enter(ledger, false, timeout_ms, error);

    *exists_out = ledger->fd >= 0;
    return done;
}

bool
ledger_enter_again(Ledger *ledger, unsigned timeout_ms, GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + (gint64)timeout_ms * 1000;

    g_assert(ledger->slot >= 0);
    return wait_for_mutex(ledger->fd, deadline_us, error);
}

/* ---- under the mutex ------------------------------------------------------ */

bool
ledger_read(Ledger *ledger, GError **error)
{
    return read_file(ledger, false, error);
}

static const guint64 *
slot_words(const Ledger *ledger, unsigned slot)
{
    return ledger->words + WORD_SLOTS + slot * SLOT_WORDS;
}

static LedgerSlot
decode_slot(const guint64 *words)
{
    return (LedgerSlot){.octets = words[0], .folder = words[2], .name = words[SLOT_NAME]};
}

/* A slot in use: alive, or lost. It may have been freed since it was read, for which nobody needs
 * the mutex: it is freed before it is unlocked, so another look at an unlocked one is certain. */
static bool
survey_slot(Ledger *ledger, unsigned slot, GError **error)
{
    guint64 again[SLOT_WORDS] = {0};
    size_t len;
    bool alive = false;

    if (!is_alive(ledger, slot, &alive, error))
        return false;
    if (alive) {
        ledger->others[ledger->other_count++] = decode_slot(slot_words(ledger, slot));
        return true;
    }
    if (!read_words(ledger, WORD_SLOTS + slot * SLOT_WORDS, again, SLOT_WORDS, &len, error))
        return false;
    if (is_in_use(again))
        ledger->lost[ledger->lost_count++] = (uint8_t)slot;
    return true;
}

bool
ledger_survey(Ledger *ledger, GError **error)
{
    unsigned top = 0;

    ledger->other_count = ledger->lost_count = 0;
    for (unsigned slot = 0; slot < ledger->slot_count; slot++) {
        if (!is_in_use(slot_words(ledger, slot)))
            continue;
        top = slot + 1;
        if ((int)slot != ledger->slot && !survey_slot(ledger, slot, error))
            return false;
    }
    if (top <= FIRST_SLOTS)
        ledger->state.top = 0;
    return true;
}

bool
ledger_repair(Ledger *ledger, GError **error)
{
    if (ledger->is_damaged)
        return make_anew(ledger, error);
    for (; ledger->lost_count > 0; ledger->lost_count--) {
        unsigned slot = ledger->lost[ledger->lost_count - 1];

        if (!clear_slot(ledger, slot, error))
            return false;
        memset(ledger->words + WORD_SLOTS + slot * SLOT_WORDS, 0, SLOT_WORDS * sizeof(guint64));
    }
    return true;
}

bool
ledger_is_changed(const Ledger *ledger)
{
    return memcmp(&ledger->state, &ledger->saved, sizeof ledger->state) != 0;
}

bool
ledger_save(Ledger *ledger, GError **error)
{
    guint64 words[STATE_WORDS] = {0};

    if (ledger->is_damaged || !ledger_is_changed(ledger))
        return true;
    encode_state(&ledger->state, words);
    if (!write_words(ledger, 0, words, STATE_WORDS, error))
        return false;
    ledger->saved = ledger->state;
    return true;
}

/* One that nobody locks: where the content was lost, a slot may look free and have its owner. */
static bool
lock_free_slot(Ledger *ledger, GError **error)
{
    for (unsigned slot = 0; slot < LEDGER_SLOTS; slot++) {
        if (slot < ledger->slot_count && is_in_use(slot_words(ledger, slot)))
            continue;
        if ((slot == 0 && ledger->has_first) ||
            set_lock(ledger->fd, F_WRLCK, offset_of_slot(slot), 1)) {
            ledger->slot = (int)slot;
            return true;
        }
        if (errno != EAGAIN)
            return lodge_set_errno(error, "lock '%s'", file_name);
    }
    g_set_error(error, QUOTA_ERROR, QUOTA_ERROR_BUSY,
                "%d deliveries to the mailbox are under way, and no more can be", LEDGER_SLOTS);
    return false;
}

bool
ledger_take(Ledger *ledger, const LedgerSlot *reservation, GError **error)
{
    const guint64 words[SLOT_WORDS] = {reservation->octets, 1, reservation->folder,
                                       reservation->name};

    g_assert(ledger->slot < 0);
    if (!lock_free_slot(ledger, error))
        return false;
    ledger->own = *reservation;
    if (ledger->slot >= FIRST_SLOTS)
        ledger->state.top = MAX(ledger->state.top, (guint64)ledger->slot + 1);
    return ledger_save(ledger, error) &&
           write_words(ledger, WORD_SLOTS + (unsigned)ledger->slot * SLOT_WORDS, words, SLOT_WORDS,
                       error);
}

/* Only beside the first slot are both one call; what is not noted is read. */
bool
ledger_settle(Ledger *ledger, const UsageKnown *known, GError **error)
{
    guint64 words[WORD_SLOTS - WORD_FILE_INODE + SLOT_WORDS] = {0};

    if (ledger->slot != 0)
        return clear_slot(ledger, (unsigned)ledger->slot, error);
    encode_known(known, words);
    return write_words(ledger, WORD_FILE_INODE, words, G_N_ELEMENTS(words), error);
}

bool
ledger_names(Ledger *ledger, guint64 *names_out, size_t *count_out, GError **error)
{
    guint64 words[LEDGER_SLOTS * SLOT_WORDS] = {0};
    size_t len;

    *count_out = 0;
    if (!read_words(ledger, WORD_SLOTS, words, G_N_ELEMENTS(words), &len, error))
        return false;
    for (unsigned slot = 0; slot < LEDGER_SLOTS; slot++) {
        guint64 name = words[slot * SLOT_WORDS + SLOT_NAME];

        if (name != 0)
            names_out[(*count_out)++] = name;
    }
    return true;
}

bool
ledger_is_intact(const Ledger *ledger)
{
    if (ledger->slot < 0 || ledger->is_damaged || (unsigned)ledger->slot >= ledger->slot_count)
        return false;

    LedgerSlot found = decode_slot(slot_words(ledger, (unsigned)ledger->slot));

    return memcmp(&found, &ledger->own, sizeof found) == 0;
}

/* ---- without the mutex too ------------------------------------------------ */

bool
ledger_set_name(Ledger *ledger, guint64 name, GError **error)
{
    g_assert(ledger->slot >= 0);
    ledger->own.name = name;
    return write_words(ledger, WORD_SLOTS + (unsigned)ledger->slot * SLOT_WORDS + SLOT_NAME, &name,
                       1, error);
}

bool
ledger_release(Ledger *ledger, GError **error)
{
    return ledger->slot < 0 || clear_slot(ledger, (unsigned)ledger->slot, error);
}
