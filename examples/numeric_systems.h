// AdEMAMix and sigmoid attention in C++, written from SPECIFICATION.md of `gaugeblock vectors export`.
#pragma once
#include "vector_files.h"

#include <algorithm>

using Numbers = std::vector<double>;

// A number rounded to a type of so many bits of precision, whose smallest step is 2^least.
inline double rounded(double x, const std::string &dtype) {
    if (dtype == "F64" || !std::isfinite(x) || x == 0) return x;
    if (dtype == "F32") return static_cast<float>(x);
    bool half = dtype == "F16";
    int exponent;
    std::frexp(x, &exponent);
    double step = std::ldexp(1, std::max(exponent - (half ? 11 : 8), half ? -24 : -133));
    double result = std::nearbyint(x / step) * step;
    return half && std::fabs(result) > 65504 ? std::copysign(INFINITY, x) : result;
}

inline double optional(const Json &value) { return value.null ? 0 : value.number; }

class AdEMAMix {
  public:
    struct Moments {
        std::vector<std::size_t> shape;
        Numbers m1, m2, nu;
        std::size_t t = 0, t_at_switch = 0;
    };
    bool adamw = false;
    std::map<std::string, Moments> states;

    void switch_from_adamw() {
        adamw = false;
        for (auto &[name, state] : states) state.t_at_switch = state.t;
    }

    // One step of one parameter.
    void step(const std::string &name, const Json &h, double eta, Tensor &theta, const Numbers &gradient) {
        std::size_t size = theta.values.size();
        Moments &s = states[name];
        if (s.t == 0) s.shape = theta.shape, s.m1.resize(size), s.m2.resize(size), s.nu.resize(size);
        ++s.t;
        double beta1 = h["beta1"].number, beta2 = h["beta2"].number, beta3 = h["beta3"].number, alpha = h["alpha"].number;
        double since = s.t - s.t_at_switch, t_alpha = optional(h["t_alpha"]), t_beta3 = optional(h["t_beta3"]);
        if (t_alpha > 0 && since < t_alpha) alpha = since * alpha / t_alpha;
        if (t_beta3 > 0 && since < t_beta3 && beta3 > 0) {
            double x = since / t_beta3, a = std::log(beta1), b = std::log(beta3);
            beta3 = beta1 == 0 ? std::pow(beta3, 1 / x) : std::min(std::exp(a * b / ((1 - x) * b + x * a)), beta3);
        }
        double correction1 = 1 - std::pow(beta1, s.t), correction2 = 1 - std::pow(beta2, s.t), eps = h["eps"].number;
        for (std::size_t i = 0; i < size; ++i) {
            double g = gradient[i];
            s.m1[i] = beta1 * s.m1[i] + (1 - beta1) * g;
            if (!adamw) s.m2[i] = beta3 * s.m2[i] + (1 - beta3) * g;
            s.nu[i] = beta2 * s.nu[i] + (1 - beta2) * g * g;
            double slow = adamw ? 0 : alpha * s.m2[i];
#ifdef BUG  // eps as a floor under the square root: the tests of this example compile it, to see something fail
            double denominator = std::max(std::sqrt(s.nu[i] / correction2), eps);
#else
            double denominator = std::sqrt(s.nu[i] / correction2) + eps;
#endif
            double update = (s.m1[i] / correction1 + slow) / denominator + h["weight_decay"].number * theta.values[i];
            theta.values[i] = rounded(theta.values[i] - eta * update, theta.dtype);
        }
    }
};

inline double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

// The output and all gradients, by their names in the specification; the gradients where there is an output_gradient.
class Attention {
  public:
    Tensors results;

    Attention(const Json &parameters, const Tensors &inputs)
        : given(parameters), q(inputs.at("q")), k(inputs.at("k")), v(inputs.at("v")),
          dO(inputs.count("output_gradient") ? &inputs.at("output_gradient") : nullptr),
          slopes(inputs.count("alibi_slopes") ? &inputs.at("alibi_slopes") : nullptr), B(q.shape[0]), H(q.shape[1]), N(q.shape[2]),
          D(q.shape[3]), Hk(k.shape[1]), Nk(k.shape[2]), Dv(v.shape[3]) {
        result("output", {B, H, N, Dv}, q.dtype);
        result("gradient_q", q.shape, q.dtype), result("gradient_k", k.shape, q.dtype), result("gradient_v", v.shape, q.dtype);
        const std::string wide = q.dtype == "F64" ? "F64" : "F32";
        result("gradient_bias", {}, wide);
        if (slopes) result("gradient_alibi_slopes", slopes->shape, wide);
        const Json &edges_q = given["cu_seqlens_q"], &edges_k = given["cu_seqlens_k"];
        if (edges_q.null)
            for (std::size_t b = 0; b < B; ++b) sequence(b, b, 0, N, 0, Nk);
        else
            for (std::size_t n = 0; n + 1 < edges_q.items.size(); ++n)
                sequence(0, n, edges_q.items[n].number, edges_q.items[n + 1].number, edges_k.items[n].number, edges_k.items[n + 1].number);
        for (auto &[name, tensor] : results)
            for (double &value : tensor.values) value = rounded(value, tensor.dtype);
    }

  private:
    const Json &given;
    const Tensor &q, &k, &v, *dO, *slopes;
    std::size_t B, H, N, D, Hk, Nk, Dv;

    void result(const std::string &name, const std::vector<std::size_t> &shape, const std::string &dtype) {
        std::size_t count = 1;
        for (std::size_t side : shape) count *= side;
        results[name] = {shape, Numbers(count), dtype};
    }

    bool visible(std::size_t b, double j, double offset) const {
        const Json &window = given["window"], &lengths = given["key_lengths"];
        if (given["causal"].truth && offset > 0) return false;
        if (!window.null) {
            double left = window.items[0].number, right = window.items[1].number;
            if ((left != -1 && offset < -left) || (right != -1 && offset > right)) return false;
        }
        return lengths.null || j < lengths.items[b].number;
    }

    // Queries and keys of one batch row, or of one packed sequence; `row` is where its slopes are.
    void sequence(std::size_t b, std::size_t row, std::size_t q0, std::size_t q1, std::size_t k0, std::size_t k1) {
        double scale = given["scale"].null ? 1 / std::sqrt(double(D)) : given["scale"].number, bias = given["bias"].number;
        Numbers &output = results["output"].values, &dq = results["gradient_q"].values, &dk = results["gradient_k"].values;
        Numbers &dv = results["gradient_v"].values, &dbias = results["gradient_bias"].values;
        for (std::size_t h = 0; h < H; ++h) {
            std::size_t own = slopes && slopes->shape.size() == 2 ? row * H + h : h;
            for (std::size_t i = q0; i < q1; ++i)
                for (std::size_t j = k0; j < k1; ++j) {
                    double offset = double(j - k0) - (double(i - q0) + double(k1 - k0) - double(q1 - q0));
                    if (!visible(b, j - k0, offset)) continue;
                    std::size_t query = (b * H + h) * N + i, key = (b * Hk + h / (H / Hk)) * Nk + j;
                    const double *qi = &q.values[query * D], *kj = &k.values[key * D], *vj = &v.values[key * Dv];
                    double dot = 0;
                    for (std::size_t d = 0; d < D; ++d) dot += qi[d] * kj[d];
                    double s = scale * dot + bias - (slopes ? slopes->values[own] * std::fabs(offset) : 0);
                    double p = sigmoid(s);
                    for (std::size_t d = 0; d < Dv; ++d) output[query * Dv + d] += p * vj[d];
                    if (!dO) continue;
                    const double *go = &dO->values[query * Dv];
                    double dP = 0;
                    for (std::size_t d = 0; d < Dv; ++d) dP += go[d] * vj[d], dv[key * Dv + d] += p * go[d];
#ifdef BUG  // the derivative of the sigmoid without the factor 1 - p
                    double dS = p * dP;
#else
                    double dS = p * sigmoid(-s) * dP;  // sigmoid(-s) is 1 - p
#endif
                    for (std::size_t d = 0; d < D; ++d) dq[query * D + d] += scale * dS * kj[d], dk[key * D + d] += scale * dS * qi[d];
                    dbias[0] += dS;
                    if (slopes) results["gradient_alibi_slopes"].values[own] -= dS * std::fabs(offset);
                }
        }
    }
};
