# SPDX-License-Identifier: Apache-2.0
# Turns prices/book.tsv into C initialisers for meter/price_shipped.c.
#   LC_ALL=C awk -f prices/compile.awk prices/book.tsv > price_rows.inc
# POSIX awk. Money never becomes a number here: a decimal text in USD per 1,000,000 tokens turns
# into an integer of nano-dollars (= femto-dollars per token) by moving digits; a fee in USD per
# one into femto-dollars. What does not fit exactly stops the build with line, column and value.
# Texts go into one block of strings, rates into one list; rows and names have their places there.

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

# The day a price begins, as a C constant.
function first_day(from)
{
    return from == "-" ? "PRICE_ALWAYS" : days("from", from)
}

function month_days(y, m)
{
    if (m == 2)
        return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0 ? 29 : 28
    return m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31
}

# The place of a text in the block of strings; 0 is the empty one.
function text(value)
{
    if (!(value in place)) {
        place[value] = string_bytes
        strings[string_count++] = value
        string_bytes += length(value) + 1
    }
    return place[value]
}

function check_name(column, name)
{
    if (name !~ /^[!-~]+$/ || name ~ /["\\?,A-Z]/ || length(name) > 127)
        refuse(column, name, "is not a model's name")
    if ((provider, name) in owner)
        fail("the name " name " stands for two models of " provider)
    owner[provider, name] = model_count
}

# An alias, into its place among those of its provider so far: there are few.
function add_alias(name,    i)
{
    check_name("aliases", name)
    for (i = alias_count++; i > alias_first && aliases[i - 1] > name; i--) {
        aliases[i] = aliases[i - 1]
        alias_owner[i] = alias_owner[i - 1]
    }
    aliases[i] = name
    alias_owner[i] = model_count
}

# A row that begins a model: it ends the model before.
function begin_model(    parts, n, i)
{
    model_name[++model_count] = model
    model_first[model_count] = row_count
    check_name("model", model)
    n = cell("aliases") == "-" ? 0 : split(cell("aliases"), parts, ",")
    for (i = 1; i <= n; i++)
        add_alias(parts[i])
}

function add_entry(name, mine)
{
    name_text[name_count++] = sprintf("{%d, %d, %d, %d},", text(name), text(model_name[mine]), \
        model_first[mine], model_first[mine + 1] - model_first[mine])
}

# The names of the provider that ends here: its models stand in order, its aliases as well.
function end_provider(    first, i, a)
{
    if (last_provider == "")
        return
    model_first[model_count + 1] = row_count
    first = name_count
    a = alias_first
    for (i = provider_first; i <= model_count; i++) {
        for (; a < alias_count && aliases[a] < model_name[i]; a++)
            add_entry(aliases[a], alias_owner[a])
        add_entry(model_name[i], i)
    }
    for (; a < alias_count; a++)
        add_entry(aliases[a], alias_owner[a])
    provider_text[provider_count++] = sprintf("{%d, %d, %d},", text(last_provider), first, \
        name_count - first)
    provider_first = model_count + 1
    alias_first = alias_count
}

function tier_name(start, service, region, hours,    name)
{
    name = start == "0" ? "" : start "+"
    if (service != "standard")
        name = name " " service
    if (region != "-")
        name = name " regional"
    if (hours != "-")
        name = name " hours"
    sub(/^ /, "", name)
    return name
}

# Text that sorts as (from, prompt_from, service, region, hours) must.
function row_key(start, service, region, hours)
{
    return sprintf("%-10s %015d %d %d %s", from == "-" ? "" : from, start, tier_number[service], \
        region != "-", hours == "-" ? "" : hours)
}

function check_hours(hours,    day, time)
{
    day = "(mon|tue|wed|thu|fri|sat|sun)"
    time = "([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)"
    if (hours !~ "^(" day "(-" day ")? )?" time "(," time ")*$")
        refuse("hours", hours, "is not like mon-fri 01:00-04:00")
}

BEGIN {
    FS = "\t"
    # The columns of rates in the order of enum meter_bucket, then of enum meter_count, where
    # tool calls have none; and the decimals that make a femto-dollar of one unit.
    rate_count = split("input cache_read cache_write_5m cache_write_1h audio_in image_in output " \
        "audio_out image_out web_search file_search - image page second character search_unit " \
        "request", rates, " ")
    for (i = 1; i <= rate_count; i++)
        scales[i] = i <= 9 || rates[i] == "character" ? 9 : 15
    service_count = split("standard priority flex batch fast", services, " ")
    for (i = 1; i <= service_count; i++) {
        tier_number[services[i]] = i
        tier_constant[services[i]] = "METER_TIER_" toupper(services[i])
    }
    row_count = name_count = provider_count = alias_count = alias_first = value_count = 0
    provider_first = 1
    text("")
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
    wanted = split("provider model aliases from prompt_from service region hours context_tokens " \
        "output_tokens hidden_tps free", columns, " ")
    for (i = 1; i <= rate_count; i++)
        if (rates[i] != "-")
            columns[++wanted] = rates[i]
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
    region = cell("region")
    hours = cell("hours")
    if (!(service in tier_number))
        refuse("service", service, "is no service tier")
    if (region != "-" && region != "regional")
        refuse("region", region, "is neither regional nor -")
    if (hours != "-")
        check_hours(hours)
    if (provider "\t" model != last_model) {
        if (provider "\t" model < last_model)
            fail("rows are not sorted by provider and model")
        if (provider != last_provider)
            end_provider()
        begin_model()
        last_key = ""
    } else if (row_key(start, service, region, hours) <= last_key) {
        fail("rows of one model are not sorted, or one stands twice")
    }
    if (from != last_from || provider "\t" model != last_model)
        if (start != "0" || service != "standard" || region != "-" || hours != "-")
            fail("the first row of a price is not its standard one")
    last_provider = provider
    last_model = provider "\t" model
    last_from = from
    last_key = row_key(start, service, region, hours)

    add_row()
}

# The values of this row in the list of all: where the same ones stand already, there.
function add_values(    sequence, bits, i)
{
    sequence = ""
    bits = 0
    for (i = 1; i <= rate_count; i++) {
        if (rates[i] == "-" || cell(rates[i]) == "-")
            continue
        sequence = sequence scaled(rates[i], cell(rates[i]), scales[i]) ", "
        bits += 2 ^ (i - 1)
    }
    if (!(sequence in sequence_first)) {
        sequence_first[sequence] = value_count
        value_text[value_lines++] = sequence
        value_count += gsub(/,/, ",", sequence)
        sequence = value_text[value_lines - 1]
    }
    return sprintf("0x%x, %d", bits, sequence_first[sequence])
}

function add_row(    free, hidden, values, i)
{
    free = cell("free")
    if (free != "yes" && free != "-")
        refuse("free", free, "is neither yes nor -")
    if (model == "*" && free != "yes")
        refuse("model", model, "stands for all others, which must be free")
    hidden = cell("hidden_tps")
    values = add_values()
    if (free == "-" && values ~ /^0x0,/)
        fail("a row without a price")
    row_text[row_count++] = sprintf("{%s, %d, %d, %d, %s, %s, %s, %s, %s, %s, %d, %d},", \
        first_day(from), text(from == "-" ? "" : from), text(hours == "-" ? "" : hours), \
        text(tier_name(start, service, region, hours)), start, \
        count("context_tokens", cell("context_tokens")), \
        count("output_tokens", cell("output_tokens")), \
        hidden == "yes" ? "PRICE_HIDDEN_TPS" : count("hidden_tps", hidden), values, \
        tier_constant[service], region != "-", free == "yes")
}

function print_all(what, list, n,    i)
{
    print "#elif defined(PRICE_WANT_" what ")"
    for (i = 0; i < n; i++)
        print list[i]
}

END {
    if (failed)
        exit 1
    if (!date || !row_count)
        fail("no date in the comments, or no rows")
    end_provider()
    for (i = 0; i < string_count; i++)
        string_text[i] = "\"" strings[i] "\\0\""
    print "/* Generated by prices/compile.awk from prices/book.tsv. */"
    print "#if defined(PRICE_WANT_DATE)"
    print "\"" date "\""
    print_all("ROWS", row_text, row_count)
    print_all("VALUES", value_text, value_lines)
    print_all("NAMES", name_text, name_count)
    print_all("PROVIDERS", provider_text, provider_count)
    print_all("STRINGS", string_text, string_count)
    print "#endif"
}
