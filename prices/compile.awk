# SPDX-License-Identifier: Apache-2.0
# Turns prices/book.tsv into C initialisers for meter/price_shipped.c.
#   LC_ALL=C awk -f prices/compile.awk prices/book.tsv > price_rows.inc
# POSIX awk. Money never becomes a number here: a decimal text in USD per 1,000,000 tokens turns
# into an integer of nano-dollars (= femto-dollars per token) by moving digits; a fee in USD per
# call into femto-dollars. What does not fit exactly stops the build with line, column and value.

function fail(why)
{
    printf "%s:%d: %s\n", FILENAME, FNR, why | "cat 1>&2"
    close("cat 1>&2")
    failed = 1
    exit 1
}

function refuse(column, value, why)
{
    fail("column " column ": \"" value "\" " why)
}

function cell(column)
{
    return $at[column] ""
}

# Decimal text times 10^scale as an integer literal.
function scaled(column, value, scale,    point, whole, part)
{
    if (value == "-")
        return "METER_NO_RATE"
    if (value !~ /^[0-9]+(\.[0-9]+)?$/)
        refuse(column, value, "is not a decimal number")
    point = index(value, ".")
    whole = point ? substr(value, 1, point - 1) : value
    part = point ? substr(value, point + 1) : ""
    if (length(part) > scale)
        refuse(column, value, "has more than " scale " decimals")
    while (length(part) < scale)
        part = part "0"
    whole = whole part
    sub(/^0+/, "", whole)
    if (whole == "")
        refuse(column, value, "is zero; a price of nothing is free=yes")
    # 19 digits always fit 64 bits, and METER_NO_RATE has 20.
    if (length(whole) > 19)
        refuse(column, value, "does not fit")
    return "UINT64_C(" whole ")"
}

function count(column, value)
{
    if (value == "-")
        return "0"
    if (value !~ /^(0|[1-9][0-9]*)$/ || length(value) > 15)
        refuse(column, value, "is not a whole number")
    return value
}

# Days from 1970-01-01 of a valid date; small whole numbers are exact in any awk.
function days(column, value,    y, m, d, era, shifted)
{
    if (value !~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]$/)
        refuse(column, value, "is not a date")
    y = substr(value, 1, 4) + 0
    m = substr(value, 6, 2) + 0
    d = substr(value, 9, 2) + 0
    if (y < 2000 || m < 1 || m > 12 || d < 1 || d > month_days(y, m))
        refuse(column, value, "is not a date")
    if (m <= 2)
        y--
    era = int(y / 400)
    shifted = (m + 9) % 12
    return era * 146097 + (y - era * 400) * 365 + int((y - era * 400) / 4) \
        - int((y - era * 400) / 100) + int((153 * shifted + 2) / 5) + d - 1 - 719468
}

# When a price begins, as a C constant.
function seconds(from)
{
    return from == "-" ? "INT64_MIN" : "INT64_C(" days("from", from) ") * 86400"
}

function month_days(y, m)
{
    if (m == 2)
        return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0 ? 29 : 28
    return m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31
}

function add_name(name)
{
    if (name !~ /^[!-~]+$/ || name ~ /["\\?]/ || length(name) > 127)
        refuse("model", name, "is not a model's name")
    if ((provider, name) in owner)
        fail("the name " name " stands for two models of " provider)
    owner[provider, name] = model_count
    names[++name_count] = provider "\t" name
    name_owner[name_count] = model_count
}

# A row that begins a model: it ends the model before.
function begin_model(    parts, n, i)
{
    model_count++
    model_row[model_count] = provider "/" model
    model_first[model_count] = row_count
    add_name(model)
    n = cell("aliases") == "-" ? 0 : split(cell("aliases"), parts, ",")
    for (i = 1; i <= n; i++)
        add_name(parts[i])
}

function tier_name(start, service,    name)
{
    name = start == "0" ? "" : start "+"
    if (service != "standard")
        name = name (name == "" ? "" : " ") service
    return name
}

# Text that sorts as (from, prompt_from, service) must.
function row_key(start, service)
{
    return sprintf("%-10s %015d %d", from == "-" ? "" : from, start, tier_number[service])
}

BEGIN {
    FS = "\t"
    bucket_count = split("input cache_read cache_write_5m cache_write_1h audio_in image_in " \
        "output audio_out image_out", buckets, " ")
    service_count = split("standard priority flex batch fast", services, " ")
    for (i = 1; i <= service_count; i++) {
        tier_number[services[i]] = i
        tier_constant[services[i]] = "METER_TIER_" toupper(services[i])
    }
}

/^#/ {
    if (match($0, /price book of [0-9-]+/))
        date = substr($0, RSTART + 14, 10)
    next
}

!header {
    header = 1
    for (i = 1; i <= NF; i++)
        at[$i] = i
    wanted = split("provider model aliases from prompt_from service web_search file_search " \
        "context_tokens output_tokens hidden_tps free", columns, " ")
    for (i = 1; i <= bucket_count; i++)
        columns[++wanted] = buckets[i]
    for (i = 1; i <= wanted; i++)
        if (!(columns[i] in at))
            fail("no column " columns[i])
    width = NF
    next
}

{
    if (NF != width)
        fail(NF " cells, the header has " width)
    provider = cell("provider")
    model = cell("model")
    from = cell("from")
    start = count("prompt_from", cell("prompt_from"))
    service = cell("service")
    if (!(service in tier_number))
        refuse("service", service, "is no service tier")
    if (provider "\t" model != last_model) {
        if (provider "\t" model < last_model)
            fail("rows are not sorted by provider and model")
        begin_model()
        last_key = ""
    } else if (row_key(start, service) <= last_key) {
        fail("rows of one model are not sorted, or one stands twice")
    }
    if (from != last_from || provider "\t" model != last_model)
        if (start != "0" || service != "standard")
            fail("the first row of a price is not its standard one")
    last_model = provider "\t" model
    last_from = from
    last_key = row_key(start, service)

    add_row()
}

function add_row(    free, hidden, line, i)
{
    free = cell("free")
    if (free != "yes" && free != "-")
        refuse("free", free, "is neither yes nor -")
    hidden = cell("hidden_tps")
    line = "{.from = \"" (from == "-" ? "" : from) "\", .from_s = " seconds(from) \
        ", .prompt_from = " start ",\n .tier = " tier_constant[service] ", .tier_name = \"" \
        tier_name(start, service) "\",\n .rates.token = {"
    for (i = 1; i <= bucket_count; i++)
        line = line (i > 1 ? ", " : "") scaled(buckets[i], cell(buckets[i]), 9)
    if (free == "-" && service == "standard" && start == "0" && cell("input") == "-")
        refuse("input", "-", "is missing")
    line = line "},\n .rates.count = {" scaled("web_search", cell("web_search"), 15) ", " \
        scaled("file_search", cell("file_search"), 15) \
        ", 0, METER_NO_RATE, METER_NO_RATE, METER_NO_RATE, METER_NO_RATE, METER_NO_RATE, METER_NO_RATE},\n .context_tokens = " \
        count("context_tokens", cell("context_tokens")) ", .output_tokens = " \
        count("output_tokens", cell("output_tokens")) ",\n .hidden_tokens_per_second = " \
        (hidden == "yes" ? "PRICE_HIDDEN_TPS" : count("hidden_tps", hidden)) ", .free = " \
        (free == "yes" ? "true" : "false") "},"
    row_text[row_count++] = line
}

# Insertion sort: a few hundred names, nearly in order.
function sort_names(    i, j, name, mine)
{
    for (i = 2; i <= name_count; i++) {
        name = names[i]
        mine = name_owner[i]
        for (j = i - 1; j >= 1 && names[j] > name; j--) {
            names[j + 1] = names[j]
            name_owner[j + 1] = name_owner[j]
        }
        names[j + 1] = name
        name_owner[j + 1] = mine
    }
}

END {
    if (failed)
        exit 1
    if (!date || !row_count)
        fail("no date in the comments, or no rows")
    sort_names()
    model_first[model_count + 1] = row_count
    print "/* Generated by prices/compile.awk from prices/book.tsv. */"
    print "#if defined(PRICE_WANT_DATE)"
    print "\"" date "\""
    print "#elif defined(PRICE_WANT_ROWS)"
    for (i = 0; i < row_count; i++)
        print row_text[i]
    print "#elif defined(PRICE_WANT_NAMES)"
    for (i = 1; i <= name_count; i++) {
        tab = index(names[i], "\t")
        mine = name_owner[i]
        printf "{.provider = \"%s\", .name = \"%s\", .row = \"%s\", .first = %d, .count = %d},\n", \
            substr(names[i], 1, tab - 1), substr(names[i], tab + 1), model_row[mine], \
            model_first[mine], model_first[mine + 1] - model_first[mine]
    }
    print "#endif"
}
