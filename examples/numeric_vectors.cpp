// AdEMAMix and sigmoid attention in C++, written from SPECIFICATION.md of the test vectors, and tested with them.
//
//     gaugeblock vectors export vectors
//     c++ -std=c++17 -O2 examples/numeric_vectors.cpp -o numeric_vectors && ./numeric_vectors vectors
//
// It prints each vector that fails with the bug that the vector exists to catch, and ends with 1 where there is one.
#include "vector_files.h"

#include <algorithm>
#include <cstdio>

using Tensors = std::map<std::string, Tensor>;
using Numbers = std::vector<double>;

// A number rounded to a type of so many bits of precision, whose smallest step is 2^least.
double rounded(double x, const std::string &dtype) {
    if (dtype == "float64" || !std::isfinite(x) || x == 0) return x;
    if (dtype == "float32") return static_cast<float>(x);
    bool half = dtype == "float16";
    int exponent;
    std::frexp(x, &exponent);
    double step = std::ldexp(1, std::max(exponent - (half ? 11 : 8), half ? -24 : -133));
    double result = std::nearbyint(x / step) * step;
    return half && std::fabs(result) > 65504 ? std::copysign(INFINITY, x) : result;
}

double optional(const Json &value) { return value.null ? 0 : value.number; }

// The parameter after every step.
Numbers ademamix(const Json &parameters, const std::string &dtype, Numbers theta, const Numbers &gradients) {
    std::size_t size = theta.size(), steps = parameters["steps"].number, t = 0;
    Numbers m1(size), m2(size), nu(size), after;
    const Json &missing = parameters["missing"], &switched = parameters["switch_at"];
    for (std::size_t step = 0; step < steps; ++step) {
        auto is_this = [&](const Json &other) { return other.number == step; };
        if (std::none_of(missing.items.begin(), missing.items.end(), is_this)) {
            const Json *hyper = nullptr;
            for (auto &each : parameters["hyperparameters"].items)
                if (each["from_step"].number <= step) hyper = &each;
            const Json &h = *hyper;
            double beta1 = h["beta1"].number, beta2 = h["beta2"].number, eta = parameters["learning_rates"].items[step].number;
            bool adamw = !switched.null && step < switched.number;
            ++t;
            double since = t - (switched.null ? 0 : switched.number), t_alpha = optional(h["t_alpha"]), t_beta3 = optional(h["t_beta3"]);
            double alpha = h["alpha"].number, beta3 = h["beta3"].number;
            if (t_alpha > 0 && since < t_alpha) alpha = since * alpha / t_alpha;
            if (t_beta3 > 0 && since < t_beta3 && beta3 > 0) {
                double s = since / t_beta3, a = std::log(beta1), b = std::log(beta3);
                beta3 = beta1 == 0 ? std::pow(beta3, 1 / s) : std::min(std::exp(a * b / ((1 - s) * b + s * a)), beta3);
            }
            double correction1 = 1 - std::pow(beta1, t), correction2 = 1 - std::pow(beta2, t);
            for (std::size_t i = 0; i < size; ++i) {
                double g = gradients[step * size + i];
                m1[i] = beta1 * m1[i] + (1 - beta1) * g;
                if (!adamw) m2[i] = beta3 * m2[i] + (1 - beta3) * g;
                nu[i] = beta2 * nu[i] + (1 - beta2) * g * g;
                double slow = adamw ? 0 : alpha * m2[i];
#ifdef BUG  // eps as a floor under the square root: the test of this example compiles it, to see a vector fail
                double denominator = std::max(std::sqrt(nu[i] / correction2), h["eps"].number);
#else
                double denominator = std::sqrt(nu[i] / correction2) + h["eps"].number;
#endif
                double update = (m1[i] / correction1 + slow) / denominator + h["weight_decay"].number * theta[i];
                theta[i] = rounded(theta[i] - eta * update, dtype);
            }
        }
        after.insert(after.end(), theta.begin(), theta.end());
    }
    return after;
}

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

// The output and the gradients, by their names; the gradients where there is an output_gradient.
std::map<std::string, Numbers> attention(const Json &parameters, const std::string &dtype, const Tensors &inputs) {
    const Tensor &q = inputs.at("q"), &k = inputs.at("k"), &v = inputs.at("v");
    std::size_t B = q.shape[0], H = q.shape[1], Nq = q.shape[2], D = q.shape[3];
    std::size_t Hk = k.shape[1], Nk = k.shape[2], Dv = v.shape[3];
    const Tensor *slopes = inputs.count("alibi_slopes") ? &inputs.at("alibi_slopes") : nullptr;
    const Tensor *dO = inputs.count("output_gradient") ? &inputs.at("output_gradient") : nullptr;
    double scale = parameters["scale"].null ? 1 / std::sqrt(double(D)) : parameters["scale"].number, bias = parameters["bias"].number;
    const Json &window = parameters["window"], &lengths = parameters["key_lengths"];
    auto visible = [&](std::size_t b, double j, double offset) {
        if (parameters["causal"].truth && offset > 0) return false;
        if (!window.null) {
            double left = window.items[0].number, right = window.items[1].number;
            if ((left != -1 && offset < -left) || (right != -1 && offset > right)) return false;
        }
        return lengths.null || j < lengths.items[b].number;
    };
    std::map<std::string, Numbers> result;
    Numbers &output = result["output"], &dq = result["gradient_q"], &dk = result["gradient_k"], &dv = result["gradient_v"];
    Numbers &dbias = result["gradient_bias"], &dslopes = result["gradient_alibi_slopes"];
    output.resize(B * H * Nq * Dv), dq.resize(q.values.size()), dk.resize(k.values.size()), dv.resize(v.values.size());
    dbias.resize(1), dslopes.resize(slopes ? slopes->values.size() : 0);
    for (std::size_t b = 0; b < B; ++b)
        for (std::size_t h = 0; h < H; ++h)
            for (std::size_t i = 0; i < Nq; ++i)
                for (std::size_t j = 0; j < Nk; ++j) {
                    double offset = double(j) - (double(i) + double(Nk) - double(Nq));
                    if (!visible(b, j, offset)) continue;
                    std::size_t query = (b * H + h) * Nq + i, key = (b * Hk + h / (H / Hk)) * Nk + j;
                    std::size_t head = slopes && slopes->shape.size() == 2 ? b * H + h : h;
                    const double *qi = &q.values[query * D], *kj = &k.values[key * D], *vj = &v.values[key * Dv];
                    double dot = 0;
                    for (std::size_t d = 0; d < D; ++d) dot += qi[d] * kj[d];
                    double s = scale * dot + bias - (slopes ? slopes->values[head] * std::fabs(offset) : 0);
                    double p = sigmoid(s);
                    for (std::size_t d = 0; d < Dv; ++d) output[query * Dv + d] += p * vj[d];
                    if (!dO) continue;
                    const double *go = &dO->values[query * Dv];
                    double dP = 0;
                    for (std::size_t d = 0; d < Dv; ++d) dP += go[d] * vj[d], dv[key * Dv + d] += p * go[d];
                    double dS = p * sigmoid(-s) * dP;  // sigmoid(-s) is 1 - p
                    for (std::size_t d = 0; d < D; ++d) dq[query * D + d] += scale * dS * kj[d], dk[key * D + d] += scale * dS * qi[d];
                    dbias[0] += dS;
                    if (slopes) dslopes[head] -= dS * std::fabs(offset);
                }
    for (auto &[name, values] : result)
        for (double &value : values) value = rounded(value, name == "gradient_bias" || name == "gradient_alibi_slopes" ? "float32" : dtype);
    return result;
}

// The largest |error| / bound; up to 1 is right.
double margin(const Numbers &got, const Tensor &expected, const Tensor &bounds) {
    if (got.size() != expected.values.size()) return INFINITY;
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        double bound = bounds.values[i], value = expected.values[i];
        if (std::isinf(bound) || got[i] == value) continue;
        double error = std::fabs(got[i] - value) / bound;  // NaN, or bound 0, is no small error
        worst = std::max(worst, std::isnan(error) ? INFINITY : error);
    }
    return worst;
}

int run(const std::string &folder, const std::string &system) {
    Json file = JsonReader(contents(folder + "/" + system + ".json")).read();
    Tensors arrays = read_safetensors(folder + "/" + file["arrays"].text);
    int failures = 0;
    for (auto &vector : file["vectors"].items) {
        Tensors inputs;
        for (auto &[name, array] : vector["inputs"].members) inputs[name] = arrays.at(array.text);
        std::map<std::string, Numbers> got;
        const std::string &dtype = vector["dtype"].text;
        if (system == "ademamix") got["theta"] = ademamix(vector["parameters"], dtype, inputs["theta"].values, inputs["gradients"].values);
        else got = attention(vector["parameters"], dtype, inputs);
        for (auto &[name, where] : vector["expected"].members) {
            double found = margin(got[name], arrays.at(where["values"].text), arrays.at(where["bounds"].text));
            if (found <= 1) continue;
            ++failures;
            const Json &rule = file["requirements"][vector["requirements"].items[0].text];
            std::printf("FAIL %s, %s: margin %.3g\n     %s\n     catches: %s\n", vector["name"].text.c_str(), name.c_str(), found,
                        rule["statement"].text.c_str(), rule["catches"].text.c_str());
        }
    }
    std::printf("%s: %zu vectors, %d failures\n", system.c_str(), file["vectors"].items.size(), failures);
    return failures;
}

int main(int count, char **words) {
    if (count != 2) return std::fprintf(stderr, "usage: numeric_vectors DIR\n"), 2;
    try {
        return run(words[1], "ademamix") + run(words[1], "sigmoid_attention") ? 1 : 0;
    } catch (const std::exception &error) {
        return std::fprintf(stderr, "numeric_vectors: %s\n", error.what()), 2;
    }
}
