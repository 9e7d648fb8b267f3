#include "me/result.h"
#include <math.h>

#define CONFIDENCE  0.95
#define EXACT_UP_TO 200 /* degrees of freedom; beyond, the series below is good to 1e-8 */

/* P(|T| < t) of Student's t with `nu` degrees of freedom, exact for whole ones.
 * Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4. */
static double probability_within(double t, int nu)
{
    double theta = atan(t / sqrt(nu)), c2 = cos(theta) * cos(theta);
    double term = nu % 2 ? cos(theta) : 1.0, sum = 0;
    for (int k = nu % 2 ? 3 : 2; k <= nu; k += 2) {
        sum += term;
        term *= c2 * (k - 1) / k;
    }
    if (nu % 2 == 0) return sin(theta) * sum;
    return 2 / M_PI * (theta + sin(theta) * sum);
}

/* The two-sided 95 % quantile. For many degrees of freedom: Abramowitz & Stegun 26.7.5. */
static double quantile(size_t nu)
{
    if (nu > EXACT_UP_TO) {
        const double z = 1.959963984540054; /* of the normal distribution */
        double n = (double)nu, z3 = z * z * z, z5 = z3 * z * z;
        return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n);
    }
    double low = 0, high = 16; /* 12.706 for one degree of freedom */
    for (int i = 0; i < 80; i++) {
        double middle = (low + high) / 2;
        if (probability_within(middle, (int)nu) < CONFIDENCE)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

double me_ci95(const double *values, size_t n)
{
    if (n < 2) return NAN;
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) mean += values[i] / (double)n;
    for (size_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    return quantile(n - 1) * sqrt(squares / (double)(n - 1) / (double)n);
}
