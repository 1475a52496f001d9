// Test AdEMAMix and sigmoid attention of numeric_systems.h with the vectors of a folder, or be a program that the suite tests.
//
//     gaugeblock vectors export vectors
//     c++ -std=c++17 -O2 examples/numeric_vectors.cpp -o numeric_vectors
//     ./numeric_vectors vectors
//     gaugeblock check 'ademamix=cmd:./numeric_vectors' 'sigmoid_attention=cmd:./numeric_vectors'
//
// With a folder it prints each vector that fails with the bug that the vector exists to catch, and ends with 1 where there is one.
#include "numeric_systems.h"

#include <cstdio>
#include <iostream>

// --- With vectors --------------------------------------------------------------------------------------------------------------

bool lists(const Json &steps, std::size_t step) {
    return std::any_of(steps.items.begin(), steps.items.end(), [&](const Json &each) { return each.number == step; });
}

Tensors run_ademamix(const Json &given, const Tensors &inputs) {
    AdEMAMix optimizer;
    optimizer.adamw = !given["switch_at"].null;
    Tensors now, after;
    for (std::size_t step = 0; step < given["steps"].number; ++step) {
        if (!given["switch_at"].null && given["switch_at"].number == step) optimizer.switch_from_adamw();
        if (!given["resume_after"].null && given["resume_after"].number == step) {
            AdEMAMix loaded;
            loaded.adamw = optimizer.adamw, loaded.states = optimizer.states;
            optimizer = loaded;
        }
        for (auto &group : given["groups"].items)
            for (auto &parameter : group["parameters"].items) {
                const std::string &name = parameter.text, theta = "theta." + name;
                std::size_t joins = given["joins_at"].has(name) ? given["joins_at"][name].number : 0;
                if (step < joins) continue;
                if (step == joins) now[theta] = inputs.at(theta), after[theta].dtype = now[theta].dtype;
                const Json *hyper = nullptr;
                for (auto &each : group["hyperparameters"].items)
                    if (each["from_step"].number <= step) hyper = &each;
                Tensor &values = now[theta];
                std::size_t size = values.values.size();
                auto row = inputs.at("gradients." + name).values.begin() + (step - joins) * size;
                if (!given["missing"].has(name) || !lists(given["missing"][name], step))
                    optimizer.step(name, *hyper, group["learning_rates"].items[step].number, values, Numbers(row, row + size));
                after[theta].values.insert(after[theta].values.end(), values.values.begin(), values.values.end());
            }
    }
    return after;
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
    Tensors arrays = read_safetensors(contents(folder + "/" + file["arrays"].text));
    int failures = 0;
    for (auto &vector : file["vectors"].items) {
        Tensors inputs;
        for (auto &[name, array] : vector["inputs"].members) inputs[name] = arrays.at(array.text);
        bool is_run = system == "ademamix";
        Tensors got = is_run ? run_ademamix(vector["parameters"], inputs) : Attention(vector["parameters"], inputs).results;
        for (auto &[name, where] : vector["expected"].members) {
            double found = margin(got[name].values, arrays.at(where["values"].text), arrays.at(where["bounds"].text));
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

// --- As a program --------------------------------------------------------------------------------------------------------------

const char *const OFFERED[] = {
    "\"schedules\", \"separate-warmups\", \"beta1-zero\", \"weight-decay\", \"groups\", \"missing-gradients\", \"late-parameters\", "
    "\"state-round-trip\", \"switch\", \"moments\"",
    "\"backward\", \"bias\", \"bias_gradient\", \"scale\", \"causal\", \"rectangular\", \"window\", \"alibi\", \"slope_gradient\", \"gqa\", "
    "\"key_lengths\", \"packed\", \"value_dim\", \"odd_head_dim\""};

void save(Tensors &arrays, const std::string &name, const AdEMAMix::Moments &state) {
    arrays["m1." + name] = {state.shape, state.m1, "F64"};
    arrays["m2." + name] = {state.shape, state.m2, "F64"};
    arrays["nu." + name] = {state.shape, state.nu, "F64"};
}

// What goes behind the id in the answer's line; `arrays` are those of the request, and then those of the answer.
std::string answer(AdEMAMix &optimizer, const Json &request, Tensors &arrays) {
    const std::string &op = request["op"].text;
    Tensors given;
    given.swap(arrays);
    if (op == "describe") {
        std::string features = OFFERED[request["system"].text == "sigmoid_attention"];
        return ", \"dtypes\": [\"float32\", \"float64\", \"float16\", \"bfloat16\"], \"features\": [" + features + "]";
    }
    if (op == "call") {
        Tensors results = Attention(request["parameters"], given).results;
        for (auto &wanted : request["results"].items) arrays[wanted.text] = results.at(wanted.text);
    } else if (op == "start") {
        optimizer = AdEMAMix();
        optimizer.adamw = request["adamw"].truth;
    } else if (op == "switch") {
        optimizer.switch_from_adamw();
    } else if (op == "step") {
        for (auto &group : request["groups"].items)
            for (auto &parameter : group["parameters"].items) {
                const std::string &name = parameter.text;
                Tensor theta = given.at("theta." + name);
                auto gradient = given.find("gradient." + name);
                if (gradient != given.end()) optimizer.step(name, group, group["learning_rate"].number, theta, gradient->second.values);
                arrays["theta." + name] = theta;
            }
    } else if (op == "save" || op == "moments") {
        std::string counts;
        for (auto &[name, state] : optimizer.states) {
            save(arrays, name, state);
            counts += (counts.empty() ? "\"" : ", \"") + name + "\": [" + std::to_string(state.t) + ", " + std::to_string(state.t_at_switch) + "]";
        }
        return std::string(", \"state\": {\"adamw\": ") + (optimizer.adamw ? "true" : "false") + ", \"counts\": {" + counts + "}}";
    } else if (op == "load") {
        optimizer.adamw = request["state"]["adamw"].truth;
        for (auto &[name, counts] : request["state"]["counts"].members)
            optimizer.states[name] = {given.at("m1." + name).shape, given.at("m1." + name).values, given.at("m2." + name).values,
                                      given.at("nu." + name).values, std::size_t(counts.items[0].number), std::size_t(counts.items[1].number)};
    } else {
        return ", \"unsupported\": \"no " + op + "\"";
    }
    return "";
}

int serve() {
    AdEMAMix optimizer;
    for (std::string line; std::getline(std::cin, line);) {
        Json request = JsonReader(line).read();
        std::string data(std::size_t(request["bytes"].number), '\0');
        std::cin.read(data.data(), data.size());
        Tensors arrays = read_safetensors(data);
        std::string words = answer(optimizer, request, arrays);
        std::string blob = arrays.empty() ? "" : safetensors_of(arrays);
        std::cout << "{\"id\": " << std::size_t(request["id"].number) << words << ", \"bytes\": " << blob.size() << "}\n" << blob << std::flush;
    }
    return 0;
}

int main(int count, char **words) {
    try {
        if (count == 1) return serve();
        if (count == 2) return run(words[1], "ademamix") + run(words[1], "sigmoid_attention") ? 1 : 0;
    } catch (const std::exception &error) {
        return std::fprintf(stderr, "numeric_vectors: %s\n", error.what()), 2;
    }
    return std::fprintf(stderr, "usage: numeric_vectors [DIR]\n"), 2;
}
