# Prints every value that machine_energy.R gives for FILE, a line a cell, for test_readers.py:
#   Rscript readers.R machine_energy.R FILE
args <- commandArgs(trailingOnly = TRUE)
source(args[1])

text <- function(values) {
  if (inherits(values, "integer64")) as.character(values)
  else if (is.character(values)) values
  else if (is.integer(values)) sprintf("%d", values)
  else ifelse(is.na(values), "NaN", sprintf("%.17g", values))
}

out <- stdout()
emit <- function(...) writeLines(paste(..., sep = "\t"), out, useBytes = TRUE)

result <- me_read(args[2])
for (name in names(result$attrs)) emit("attr", name, class(result$attrs[[name]])[1], text(result$attrs[[name]]))
for (table in me_tables) {
  frame <- result[[table]]
  emit("rows", table, nrow(frame), attr(frame, "description"))
  for (column in names(frame)) {
    emit("column", table, column, class(frame[[column]])[1], attr(frame, "units")[[column]])
    if (nrow(frame)) emit("cell", table, column, seq_len(nrow(frame)) - 1, text(frame[[column]]))
  }
}
samples <- me_series(args[2], 3, 2)
for (column in names(samples)[-1]) emit("sample", column, text(samples[[column]]))
emit("time", class(samples$time)[1], format(samples$time[1], "%Y-%m-%dT%H:%M:%S", tz = "UTC"))
emit("states", paste(dim(attr(samples, "states")), collapse = "x"), sum(attr(samples, "states") == 2))
emit("unit", names(attr(samples, "units")), unlist(attr(samples, "units")))
problem <- tryCatch(me_series(args[2], 3, 99), error = conditionMessage)
emit("error", problem)
