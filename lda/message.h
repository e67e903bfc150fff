/* lda/message.h - one message, received once and read by every recipient
 *
 * Bytes go in as they arrive; CRLF becomes LF; everything else, NUL and bare CR
 * included, stays as it is. Up to spool_memory octets lie in memory, more go to
 * a file, so that memory does not grow with the message: one where a copy of it is to be, if
 * there is such a place (early.h), else an unlinked one. A leading
 * mbox "From " line is removed. After message_finish() the header is scanned
 * once for the few fields delivery needs; MIME is nobody's business here.
 */
#ifndef LODGE_LDA_MESSAGE_H
#define LODGE_LDA_MESSAGE_H

#include "lodge.h"

typedef struct Message Message;

/* Where the file may be, better than in spool_dir. What cannot be written there is, with all
 * that was, moved to spool_dir. */
typedef struct {
    /* Opens an empty file for reading and writing, which is the caller's to close. The message
     * will begin behind *lead_out octets, left for headers. Of message, what its header says can be
     * asked, as far as it has come. -1: spool_dir will do. */
    int (*open)(void *data, const Message *message, size_t *lead_out);
    void (*free)(void *data); /* the message is not there, or not any more */
    void *data;
} MessagePlace;

typedef struct {
    size_t spool_memory;   /* octets kept in memory before a file is used */
    const char *spool_dir; /* directory of the unlinked file; borrowed */
    guint64 size_limit;    /* octets as stored; 0: none */
    MessagePlace place;    /* {0}: none; owned by the message */
} MessageOptions;

Message *message_new(const MessageOptions *options);
void message_free(Message *message); /* NULL is fine */

/* Adds len bytes. Past size_limit the bytes are counted and thrown away, and
 * message_finish() fails: the caller reads on to the end of the data, as a
 * protocol must. An I/O failure (full disk) is remembered in the same way. */
void message_append(Message *message, const void *bytes, size_t len);

/* Ends the message. Fails with LDA_ERROR_TOO_BIG, LDA_ERROR_EMPTY (no octet at
 * all) or G_FILE_ERROR. Must be called, and succeed, before what follows. */
bool message_finish(Message *message, GError **error);

guint64 message_size(const Message *message);         /* octets as stored, S= */
guint64 message_virtual_size(const Message *message); /* octets with each LF counted as CRLF, W= */

/* The data of the place, when all of the message is in that file, from the octet behind lead on;
 * else NULL. */
void *message_place(const Message *message);

/* A window into the message of at most len octets at offset, for writers that
 * compress or batch (writev): *len_out is 0 at the end. Valid until the next call
 * on this message. NULL and error on a read failure. */
const uint8_t *message_peek(Message *message, guint64 offset, size_t len, size_t *len_out,
                            GError **error);

/* All of the message, message_size() octets: in memory, or the mapped spool file. Valid for
 * the life of the message. NULL and G_FILE_ERROR when it cannot be mapped. */
const uint8_t *message_bytes(Message *message, GError **error);

/* Whoever has read much of message_bytes() and will not soon again: pages of a mapped file need not
 * be ours meanwhile. */
void message_rest(Message *message);

/* The header block, up to and including the blank line, or its first
 * MESSAGE_HEADER_LIMIT octets. Valid for the life of the message. */
#define MESSAGE_HEADER_LIMIT (1024 * 1024)
const char *message_header(const Message *message, size_t *len_out);

/* What the header says; NULL where it does not. Strings belong to the message. */
const char *message_id(const Message *message); /* Message-ID, with brackets */
const char *
message_queue_id(const Message *message); /* "id" of the top Received: the MTA's queue id */
const char *message_mbox_sender(const Message *message); /* sender of the removed "From " line */
unsigned message_received_count(const Message *message);

/* Fields above the topmost Received were prepended by the MTA that handed the
 * message to us (pipe(8) flags D, O, R): they are not written twice, and its
 * Delivered-To is not a loop. */
bool message_has_prepended(const Message *message, const char *field);

/* True when a Delivered-To below the topmost Received names address (compared
 * without regard to case): the message has been in this mailbox before. */
bool message_was_delivered_to(const Message *message, const char *address);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Message, message_free)
#endif
