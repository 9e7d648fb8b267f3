# Reads a result of Machine Energy (HDF5, format 1) into data frames.
#
#   source("machine_energy.R")
#   result <- me_read("exp1")                 # the experiment's folder, or its .h5 file
#   result$summary[order(result$summary$energy_mean_j), ]
#   attr(result$summary, "units")[["energy_mean_j"]]       # "J"
#   samples <- me_series("exp1", 1, 1)        # samples of machine 1, repeat 1
#
# Needs hdf5r (Debian: r-cran-hdf5r). Whole numbers that fit are integers; nanoseconds since 1970 do
# not fit and are bit64's integer64.

me_tables <- c("machines", "channels", "repeats", "energies", "activities", "regions", "metrics", "jobs", "job_nodes",
               "summary")

me_path <- function(path) {
  if (dir.exists(path)) path <- file.path(path, paste0(basename(normalizePath(path)), ".h5"))
  if (!file.exists(path)) stop(path, ": no such file", call. = FALSE)
  path
}

# integer64 to integer where every value fits, and texts marked as the UTF-8 that they are.
me_plain <- function(values) {
  if (is.character(values)) {
    Encoding(values) <- "UTF-8"
  } else if (inherits(values, "integer64")) {
    sizes <- abs(suppressWarnings(as.double(values))) # near enough to see whether they fit
    if (all(sizes <= .Machine$integer.max, na.rm = TRUE)) values <- as.integer(values)
  }
  values
}

me_attributes <- function(object) {
  names <- hdf5r::list.attributes(object)
  stats::setNames(lapply(names, function(name) me_plain(hdf5r::h5attr(object, name))), names)
}

# A table without rows still has its columns: made from the compound type, for hdf5r reads none.
me_empty <- function(dataset) {
  type <- dataset$get_type()
  on.exit(type$close())
  columns <- lapply(as.character(type$get_cpd_classes()), function(class) {
    switch(class, H5T_STRING = character(), H5T_INTEGER = integer(), numeric())
  })
  names(columns) <- type$get_cpd_labels()
  as.data.frame(columns, stringsAsFactors = FALSE, check.names = FALSE)
}

me_table <- function(file, name) {
  dataset <- file[[name]]
  on.exit(dataset$close())
  frame <- if (prod(dataset$dims) == 0) me_empty(dataset) else dataset[]
  frame[] <- lapply(frame, me_plain)
  about <- me_attributes(dataset)
  attr(frame, "units") <- stats::setNames(as.list(about$units), names(frame))
  attr(frame, "description") <- about$description
  frame
}

me_open <- function(path) {
  path <- me_path(path)
  if (!hdf5r::is_hdf5(path)) stop(path, ": not a result of Machine Energy", call. = FALSE)
  file <- hdf5r::H5File$new(path, mode = "r")
  about <- me_attributes(file)
  problem <- NULL
  if (!identical(about$format, "machine-energy")) {
    problem <- ": not a result of Machine Energy"
  } else if (about$format_version > 1) {
    problem <- paste0(": of format ", about$format_version, ", this reader knows up to 1; use a newer machine_energy.R")
  }
  if (!is.null(problem)) {
    file$close_all()
    stop(path, problem, call. = FALSE)
  }
  list(file = file, attrs = about)
}

me_read <- function(path) {
  opened <- me_open(path)
  on.exit(opened$file$close_all())
  result <- stats::setNames(lapply(me_tables, function(name) me_table(opened$file, name)), me_tables)
  result$attrs <- opened$attrs
  result
}

# The samples of one repeat (0: the idle phase): time (POSIXct, UTC), time_ns (integer64), and a column
# a channel. States (0 absent, 1 good, 2 failed) are the matrix attr(, "states").
me_series <- function(path, machine_id, repeat_number) {
  opened <- me_open(path)
  on.exit(opened$file$close_all())
  name <- sprintf("series/%d/%d", as.integer(machine_id), as.integer(repeat_number))
  above <- dirname(name)
  if (!opened$file$exists(above) || !(basename(name) %in% names(opened$file[[above]])))
    stop(path, ": no samples at ", name, call. = FALSE)
  group <- tryCatch(opened$file[[name]], error = function(problem) {
    # A link to a file of its own, which stayed on its machine (--series local).
    stop(path, ": the file with ", name, " is not there: copy it from its machine (column series_file of machines) ",
         "into ", file.path(dirname(me_path(path)), "series"), call. = FALSE)
  })
  channels <- me_plain(hdf5r::h5attr(group, "channels"))
  time_ns <- group[["time_ns"]][]
  # HDF5 counts dimensions from the slowest, R from the fastest: hdf5r gives channels x samples.
  values <- t(group[["values"]]$read(drop = FALSE))
  states <- t(group[["states"]]$read(drop = FALSE))
  seconds <- suppressWarnings(as.double(time_ns)) / 1e9 # POSIXct is exact to some 200 ns
  frame <- data.frame(time = as.POSIXct(seconds, origin = "1970-01-01", tz = "UTC"))
  frame$time_ns <- time_ns
  for (i in seq_along(channels)) frame[[channels[i]]] <- values[, i]
  attr(frame, "units") <- stats::setNames(as.list(me_plain(hdf5r::h5attr(group, "units"))), channels)
  attr(frame, "states") <- states
  frame
}
