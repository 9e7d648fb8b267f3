/* The iterations of cg.c for one type of numbers: included once for each, with REAL and NAME() defined. No
 * guard, on purpose. Sums run in eight lanes, for a single one would wait for each addition; and in double
 * from block to block, for those of millions of floats would lose the last. */

static double NAME(dot)(const REAL *restrict a, const REAL *restrict b, size_t n)
{
    double sum = 0;
    for (size_t block = 0; block < n; block += BLOCK) {
        size_t end = n - block < BLOCK ? n : block + BLOCK, i = block;
        REAL lane[8] = {0};
        for (; i + 8 <= end; i += 8)
            for (int l = 0; l < 8; l++) lane[l] += a[i + (size_t)l] * b[i + (size_t)l];
        for (; i < end; i++) lane[0] += a[i] * b[i];
        for (int l = 0; l < 8; l++) sum += (double)lane[l];
    }
    return sum;
}

/* q = A p for some rows. */
static void NAME(multiply)(const struct me_job *job, size_t first, size_t end)
{
    const REAL *restrict values = job->arrays[VALUES], *restrict p = job->arrays[P];
    const uint32_t *restrict columns = job->arrays[COLUMNS];
    const uint64_t *restrict rows = job->arrays[ROWS];
    REAL *restrict q = job->arrays[Q];
    for (size_t i = first; i < end; i++) {
        REAL sum = 0;
        for (uint64_t k = rows[i]; k < rows[i + 1]; k++) sum += values[k] * p[columns[k]];
        q[i] = sum;
    }
}

/* y += factor x */
static void NAME(add)(REAL *restrict y, REAL factor, const REAL *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += factor * x[i];
}

/* p = r + factor p */
static void NAME(turn)(REAL *restrict p, REAL factor, const REAL *restrict r, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = r[i] + factor * p[i];
}

static void NAME(solve)(struct me_job *job, struct me_worker *worker)
{
    size_t first, end;
    me_team_share(worker, rows_of(job), GRAIN, &first, &end);
    size_t n = end - first;
    const REAL *b = (const REAL *)job->arrays[RIGHT] + first;
    REAL *x = (REAL *)job->arrays[X] + first, *r = (REAL *)job->arrays[R] + first;
    REAL *p = (REAL *)job->arrays[P] + first, *q = (REAL *)job->arrays[Q] + first;
    for (size_t i = 0; i < n; i++) {
        x[i] = 0;
        r[i] = p[i] = b[i];
    }
    double rr = me_team_sum(worker, NAME(dot)(r, r, n));
    for (int iteration = 0; iteration < ITERATIONS; iteration++) {
        NAME(multiply)(job, first, end);
        double pq = me_team_sum(worker, NAME(dot)(p, q, n)), before = rr;
        REAL alpha = (REAL)(rr / pq);
        NAME(add)(x, alpha, p, n);
        NAME(add)(r, -alpha, q, n);
        rr = me_team_sum(worker, NAME(dot)(r, r, n));
        NAME(turn)(p, (REAL)(rr / before), r, n);
        me_team_wait(worker); /* the next product needs the others' p */
    }
}
