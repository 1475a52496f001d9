// Read and write what vectors and programs are made of: enough of JSON, and safetensors.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

// A value of JSON. What it is not is empty: a number has no items.
struct Json {
    bool null = false, truth = false;
    double number = 0;
    std::string text;
    std::vector<Json> items;
    std::map<std::string, Json> members;
    const Json &operator[](const std::string &name) const { return members.at(name); }
    bool has(const std::string &name) const { return members.count(name) != 0; }
};

class JsonReader {
  public:
    explicit JsonReader(const std::string &text) : p(text.c_str()) {}
    Json read() {
        Json value;
        switch (peek()) {
        case '{':
            for (take('{'); peek() != '}'; comma('}')) {
                std::string name = string();
                take(':');
                value.members[name] = read();
            }
            take('}');
            break;
        case '[':
            for (take('['); peek() != ']'; comma(']')) value.items.push_back(read());
            take(']');
            break;
        case '"': value.text = string(); break;
        case 't': value.truth = true; p += 4; break;
        case 'f': p += 5; break;
        case 'n': value.null = true; p += 4; break;
        default: {
            char *end;
            value.number = std::strtod(p, &end);
            if (end == p) throw std::runtime_error("JSON: expected a value");
            p = end;
        }
        }
        return value;
    }

  private:
    const char *p;
    char peek() {
        while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') ++p;
        return *p;
    }
    void take(char wanted) {
        if (peek() != wanted) throw std::runtime_error(std::string("JSON: expected ") + wanted);
        ++p;
    }
    void comma(char end) {
        if (peek() != end) take(',');
    }
    std::string string() {
        std::string out;
        for (take('"'); *p != '"'; ++p) {
            if (*p == 0) throw std::runtime_error("JSON: a string does not end");
            if (*p == '\\') {
                ++p;
                if (*p == 'u') p += 4, out += '?';  // only in sentences, which are for people
                else out += *p;
            } else out += *p;
        }
        ++p;
        return out;
    }
};

struct Tensor {
    std::vector<std::size_t> shape;
    std::vector<double> values;  // a double holds each of these types exactly
    std::string dtype;
};

inline std::string contents(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline double from_half(std::uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 31  ? (fraction ? NAN : INFINITY)
                  : exponent == 0 ? std::ldexp(fraction, -24)
                                  : std::ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -size : size;
}

template <class T> T number_at(const char *data) {
    T value;
    std::memcpy(&value, data, sizeof value);  // this machine is little-endian, as the file is
    return value;
}

inline double element(const std::string &dtype, const char *data, std::size_t i) {
    if (dtype == "F64") return number_at<double>(data + 8 * i);
    if (dtype == "F32") return number_at<float>(data + 4 * i);
    std::uint16_t bits = number_at<std::uint16_t>(data + 2 * i);
    if (dtype == "F16") return from_half(bits);
    std::uint32_t wide = std::uint32_t(bits) << 16;  // BF16
    return number_at<float>(reinterpret_cast<const char *>(&wide));
}

using Tensors = std::map<std::string, Tensor>;

inline Tensors read_safetensors(const std::string &file) {
    if (file.empty()) return {};
    std::uint64_t length = number_at<std::uint64_t>(file.data());
    Json header = JsonReader(file.substr(8, length)).read();
    Tensors found;
    for (auto &[name, about] : header.members) {
        if (name == "__metadata__") continue;
        Tensor tensor;
        tensor.dtype = about["dtype"].text;
        std::size_t count = 1;
        for (auto &side : about["shape"].items) tensor.shape.push_back(side.number), count *= tensor.shape.back();
        const char *data = file.data() + 8 + length + std::size_t(about["data_offsets"].items[0].number);
        for (std::size_t i = 0; i < count; ++i) tensor.values.push_back(element(tensor.dtype, data, i));
        found[name] = tensor;
    }
    return found;
}

// The bits of a number that a half holds exactly.
inline std::uint16_t to_half(double x) {
    std::uint16_t sign = std::signbit(x) ? 0x8000 : 0;
    x = std::fabs(x);
    if (std::isnan(x)) return 0x7E00;
    if (x == 0 || std::isinf(x)) return x == 0 ? sign : sign | 0x7C00;
    int exponent;
    std::frexp(x, &exponent);
    if (exponent < -13) return sign | std::uint16_t(std::ldexp(x, 24));
    return sign | std::uint16_t(((exponent + 14) << 10) + (int(std::ldexp(x, 11 - exponent)) - 1024));
}

template <class T> void append(std::string &out, T value) { out.append(reinterpret_cast<const char *>(&value), sizeof value); }

inline void append_element(std::string &out, const std::string &dtype, double x) {
    if (dtype == "F64") return append(out, x);
    float narrow = float(x);
    if (dtype == "F32") return append(out, narrow);
    if (dtype == "F16") return append(out, to_half(x));
    append(out, std::uint16_t(number_at<std::uint32_t>(reinterpret_cast<const char *>(&narrow)) >> 16));  // BF16
}

inline std::string safetensors_of(const Tensors &tensors) {
    std::string header = "{", data;
    for (auto &[name, tensor] : tensors) {
        std::string shape;
        for (std::size_t side : tensor.shape) shape += (shape.empty() ? "" : ",") + std::to_string(side);
        std::size_t begin = data.size();
        for (double x : tensor.values) append_element(data, tensor.dtype, x);
        header += (header.size() > 1 ? ",\"" : "\"") + name + "\":{\"dtype\":\"" + tensor.dtype + "\",\"shape\":[" + shape +
                  "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
    }
    header += "}";
    std::string out;
    append(out, std::uint64_t(header.size()));
    return out + header + data;
}
