/* sieve/limits.h - every limit of the engine, with its reason
 *
 * Those with a setting are only defaults (SieveSettings). None can be set by a
 * script. Passing one is a complaint of the compiler or a SIEVE_ERROR_LIMIT: never a
 * crash, a hang or memory that grows with the input.
 */
#ifndef LODGE_SIEVE_LIMITS_H
#define LODGE_SIEVE_LIMITS_H

/* ---- of a script, at compile time ---------------------------------------- */

enum {
    /* Generated scripts of large filters reach 200 KiB; compiling 1 MiB takes milliseconds. */
    SIEVE_MAX_SCRIPT_SIZE = 1024 * 1024,
    /* Blocks and tests within each other: the parser and the evaluator recurse, so this bounds
     * their stack. People write 5, generators 20. */
    SIEVE_MAX_NESTING = 100,
    /* Complaints kept for one script: whoever has more has not written Sieve. */
    SIEVE_MAX_COMPLAINTS = 100,
    /* RFC 5229 section 3: names may be limited; ours are longer than anybody types. */
    SIEVE_MAX_VARIABLE_NAME = 64,
};

/* ---- of one run ---------------------------------------------------------- */

enum {
    SIEVE_MAX_ACTIONS = 32,       /* as Pigeonhole: nobody means more, a loop of includes does */
    SIEVE_MAX_REDIRECTS = 4,      /* a script must not be a mail amplifier */
    SIEVE_MAX_NOTIFICATIONS = 10, /* the same */
    SIEVE_MAX_CPU_TIME = 30,      /* seconds; a normal run takes microseconds */
    /* Nodes walked, fields looked at and patterns tried: bounds a run also where the CPU clock is
     * coarse. The largest real script over the largest real message takes some 100,000; this many
     * take less than a tenth of a second. */
    SIEVE_MAX_STEPS = 3 * 1000 * 1000,
    SIEVE_MAX_VARIABLE_SIZE =
        4096, /* octets of one value; longer ones are cut (RFC 5229 section 3) */
    SIEVE_MAX_EXPANSION = 64 * 1024, /* octets that variables add to one string, a reply say */
    SIEVE_MAX_FLAGS = 256,           /* of one message: Dovecot's keywords alone are 26 */
    SIEVE_MAX_INCLUDE_DEPTH = 10,
    SIEVE_MAX_INCLUDE_SCRIPTS = 255,
    SIEVE_MAX_ADDED_FIELD = 2048,   /* octets of one added header field */
    SIEVE_MAX_HEADER_EDITS = 1000,  /* addheader and deleteheader in one run */
    SIEVE_MAX_MATCH_VARIABLES = 32, /* RFC 5229 section 3.2 demands at least ${0} to ${9} */
    /* Memory of one run: the values of a script, decoded fields and decoded bodies. */
    SIEVE_MAX_RUN_MEMORY = 64 * 1024 * 1024,
    /* MIME parts within each other, and in all: more are read as text of their parent. */
    SIEVE_MAX_MIME_DEPTH = 50,
    SIEVE_MAX_MIME_PARTS = 1000,
    /* Octets of one decoded body part that are looked at. */
    SIEVE_MAX_BODY_TEXT = 16 * 1024 * 1024,
    /* Octets of the parameters of one Content-Type that are read: a file name takes some hundred.
     */
    SIEVE_MAX_PARAMETERS = 8 * 1024,
    /* Octets in all of the messages that replace, enclose and filter make in one run. */
    SIEVE_MAX_EDITED = 256 * 1024 * 1024,
    /* Of an external program: the specification wants 128, 16 and 1024 at least. */
    SIEVE_MAX_PROGRAM_NAME = 128, /* characters */
    SIEVE_MAX_PROGRAM_ARGUMENTS = 64,
    SIEVE_MAX_PROGRAM_ARGUMENT = 4096, /* octets of one */
    /* PCRE2: steps of one match and its backtracking depth. No input is exponential. */
    SIEVE_MAX_REGEX_MATCH = 1000 * 1000,
    SIEVE_MAX_REGEX_DEPTH = 10 * 1000,
    SIEVE_MAX_REGEX_LENGTH = 4096, /* octets of a pattern */
    /* Characters of a :matches key between two "*", where one of them is "?": the time to find
     * them grows with their number. */
    SIEVE_MAX_WILD_SEGMENT = 4096,
    /* Header fields that tests see: real messages have 50, hostile ones as many as fit. */
    SIEVE_MAX_FIELDS = 50 * 1000,
    /* Octets of one field that are looked at: 100,000 addresses need 3 MiB. */
    SIEVE_MAX_FIELD_TEXT = 4 * 1024 * 1024,
    SIEVE_MAX_ADDRESSES = 200 * 1000, /* of one field */
};

#endif
