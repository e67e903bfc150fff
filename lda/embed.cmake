# embed.cmake - writes OUTPUT, a C file with the lookups below DIRECTORY (postfix/*, dovecot/*)
#
# Run at build time with -DDIRECTORY=schema -DOUTPUT=file.c, so that `lodge init` can write them
# wherever it was installed from, or not installed at all.
file(GLOB paths ${DIRECTORY}/postfix/* ${DIRECTORY}/dovecot/*)
list(FILTER paths EXCLUDE REGEX "/[.][^/]*$")
list(SORT paths)
set(arrays "")
set(rows "")
set(count 0)
foreach(path ${paths})
    file(RELATIVE_PATH name ${DIRECTORY} ${path})
    file(READ ${path} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(APPEND arrays "static const char text_${count}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", text_${count}},\n")
    math(EXPR count "${count} + 1")
endforeach()
if(count EQUAL 0)
    message(FATAL_ERROR "no lookups in ${DIRECTORY}")
endif()
file(WRITE ${OUTPUT} "/* Written by lda/embed.cmake. */
#include \"lda/ctl.h\"

${arrays}
const CtlLookup ctl_lookups[] = {
${rows}};
const size_t ctl_lookup_count = ${count};
")
