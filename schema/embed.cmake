# embed.cmake - writes OUTPUT, a C file with the migrations (schema/NNN_*.sql) as byte arrays
#
# Run at build time with -DDIRECTORY=schema -DOUTPUT=file.c. Bytes rather than string
# literals: nothing in an SQL text needs escaping then, and there is no limit of length.
file(GLOB paths ${DIRECTORY}/[0-9][0-9][0-9]_*.sql)
list(SORT paths)
set(arrays "")
set(rows "")
set(expected 0)
foreach(path ${paths})
    get_filename_component(name ${path} NAME)
    string(SUBSTRING ${name} 0 3 number)
    math(EXPR expected "${expected} + 1")
    string(REGEX REPLACE "^0+" "" version ${number})
    if(NOT version EQUAL expected)
        message(FATAL_ERROR "${name}: migration ${expected} is missing")
    endif()
    file(READ ${path} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(APPEND arrays "static const char sql_${version}[] = {${bytes}0};\n")
    string(APPEND rows "    {${version}, \"${name}\", sql_${version}},\n")
endforeach()
file(WRITE ${OUTPUT} "/* Written by schema/embed.cmake. */
#include \"schema/migrate.h\"

${arrays}
const Migration migrate_files[] = {
${rows}};
const size_t migrate_file_count = ${expected};
")
