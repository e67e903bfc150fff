#!/usr/bin/env bats
# The rules of the tree that no compiler checks.

setup() { cd "$BATS_TEST_DIRNAME/.."; }

# arrows FOLDER ALLOWED...: every include of ours in FOLDER's sources names an allowed folder
arrows() {
    local folder=$1 allowed
    shift
    allowed=$(IFS='|'; echo "$*")
    run grep -nE '^#include "[a-z]+/' --include='*.[ch]' -r "$folder"
    [ "$status" -eq 0 ] || return 0 # no include of ours at all
    run grep -vE "#include \"($allowed)/" <<<"$output"
    echo "$output"
    [ "$status" -eq 1 ]
}

@test "schema, quota and sieve know nothing of each other, of lda or of lmtp" {
    arrows schema schema
    arrows quota quota
    arrows sieve sieve
}

@test "lda knows nothing of lmtp" { arrows lda lda schema quota sieve; }

@test "every header has an include guard named after its path" {
    for header in lodge.h */*.h; do
        guard=$(tr 'a-z/.' 'A-Z__' <<<"$header")
        [[ $header == lodge.h ]] && guard=LODGE_H || guard=LODGE_$guard
        grep -q "^#ifndef $guard$" "$header" || { echo "$header lacks $guard"; false; }
    done
}

@test "every source file opens with a head that names it" {
    for file in lodge.h */*.[ch] tests/*/*.[ch]; do
        [ -e "$file" ] || continue
        head -n 1 "$file" | grep -qF "/* $file - " || { echo "$file: $(head -n 1 "$file")"; false; }
    done
}
