/* sieve/fuzz_run.c - a rich script over any message
 *
 * The script touches every test and action there is; what comes in is the message. Whatever
 * it is, the run ends, and in the end there is at least one action.
 */
#include "sieve/sieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char script_text[] =
    "require [\"fileinto\", \"copy\", \"envelope\", \"body\", \"variables\", \"vacation\", "
    "\"relational\", \"imap4flags\", \"subaddress\", \"date\", \"index\", \"editheader\", "
    "\"environment\", \"mailbox\", \"mime\", \"foreverypart\", \"extracttext\", \"replace\", "
    "\"enclose\", \"duplicate\", \"regex\", \"enotify\", \"spamtest\", "
    "\"comparator-i;ascii-numeric\", \"comparator-i;unicode-casemap\"];\n"
    "set \"x\" \"\";\n"
    "if header :matches \"subject\" \"*a*b?c*\" { set :upperfirst :quotewildcard \"x\" "
    "\"${1}-${2}\"; }\n"
    "if header :regex [\"from\", \"to\"] \"([a-z]+)@([a-z.]*)\" { fileinto :copy \"r.${1}\"; }\n"
    "if address :detail :contains [\"to\", \"cc\"] \"x\" { addflag \"\\\\Seen\"; }\n"
    "if address :all :comparator \"i;unicode-casemap\" :matches \"from\" \"*\\u00e4*\" { addflag "
    "\"u\"; }\n"
    "if address :count \"gt\" :comparator \"i;ascii-numeric\" [\"to\", \"cc\"] \"3\" { addflag "
    "\"many\"; }\n"
    "if date :originalzone :value \"ge\" \"date\" \"year\" \"2000\" { addflag \"dated\"; }\n"
    "if header :index 2 :last :contains \"received\" \"by\" { addflag \"hop\"; }\n"
    "if body :text :contains [\"offer\", \"html\"] { addflag \"text\"; }\n"
    "if body :content \"text\" :matches \"*<*>*\" { addflag \"markup\"; }\n"
    "if body :raw :is \"\" { addflag \"empty\"; }\n"
    "if header :mime :anychild :param \"filename\" :matches \"content-disposition\" \"*.exe\" { "
    "addflag \"exe\"; }\n"
    "foreverypart { if header :mime :type :is \"content-type\" \"text\" { extracttext :first 20 "
    "\"y\"; } elsif header :mime :subtype :contains \"content-type\" \"html\" { replace "
    "\"gone\"; break; } }\n"
    "if duplicate { addflag \"again\"; }\n"
    "deleteheader :index 1 \"received\"; addheader \"X-Y\" \"${x} ${y}\";\n"
    "if spamtest :value \"gt\" :comparator \"i;ascii-numeric\" \"5\" { fileinto \"Junk\"; }\n"
    "enclose :subject \"E: ${x}\" \"see below\";\n"
    "vacation :days 1 :subject \"Re: ${x}\" \"away\";\n"
    "notify :message \"${x}\" \"mailto:b@example.org\";\n"
    "if size :over 1K { keep; }\n";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static SieveScript *script;
    static SieveSettings settings;
    static const SieveHost host = {.now_us = 1700000000000000};
    const SieveInput input = {.bytes = data,
                              .len = size,
                              .virtual_size = size,
                              .sender = "a@example.org",
                              .recipient = "b+x@example.org"};

    if (script == NULL) {
        g_autoptr(GPtrArray) complaints = sieve_complaints_new();

        sieve_settings_init(&settings);
        script =
            sieve_script_compile("fuzz", script_text, strlen(script_text), &settings, complaints);
        for (guint i = 0; i < complaints->len; i++)
            g_printerr("%s\n", ((SieveComplaint *)complaints->pdata[i])->text);
        g_assert(script != NULL);
    }

    g_autoptr(SieveRun) run = sieve_run_new(&input, &host, &settings);
    g_autoptr(GError) error = NULL;

    if (!sieve_run_script(run, script, &error))
        g_assert(error->domain == SIEVE_ERROR);
    g_assert(sieve_run_finish(run)->len > 0);
    return 0;
}
