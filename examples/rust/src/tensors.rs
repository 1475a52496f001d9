//! Safetensors: named arrays as bytes. Every value is held as an f64, which holds each of the types exactly.

use crate::json::Json;
use std::collections::BTreeMap;

pub type Tensors = BTreeMap<String, Tensor>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dtype {
    F64,
    F32,
    F16,
    BF16,
}

#[derive(Clone, Debug)]
pub struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Tensor {
    pub fn zeros(dtype: Dtype, shape: &[usize]) -> Tensor {
        Tensor {
            dtype,
            shape: shape.to_vec(),
            values: vec![0.0; shape.iter().product()],
        }
    }
}

impl Dtype {
    fn named(name: &str) -> Result<Dtype, String> {
        match name {
            "F64" => Ok(Dtype::F64),
            "F32" => Ok(Dtype::F32),
            "F16" => Ok(Dtype::F16),
            "BF16" => Ok(Dtype::BF16),
            other => Err(format!(
                "found the dtype {other:?}, expected F64, F32, F16 or BF16"
            )),
        }
    }

    fn size(self) -> usize {
        match self {
            Dtype::F64 => 8,
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
        }
    }

    /// The nearest number of this type.
    pub fn round(self, x: f64) -> f64 {
        match self {
            Dtype::F64 => x,
            Dtype::F32 => x as f32 as f64,
            Dtype::F16 | Dtype::BF16 => {
                if x == 0.0 || !x.is_finite() {
                    return x;
                }
                let (bits, least) = if self == Dtype::F16 {
                    (11, -24)
                } else {
                    (8, -133)
                };
                let exponent = exponent_of(x) + 1;
                let step = 2f64.powi((exponent - bits).max(least));
                let result = (x / step).round_ties_even() * step;
                let largest = if self == Dtype::F16 {
                    65504.0
                } else {
                    f32::MAX as f64
                };
                if result.abs() > largest {
                    f64::INFINITY.copysign(x)
                } else {
                    result
                }
            }
        }
    }
}

/// The power of two below |x|, which is not 0.
fn exponent_of(x: f64) -> i32 {
    let field = (x.to_bits() >> 52 & 0x7ff) as i32;
    if field > 0 {
        field - 1023
    } else {
        -1074 // subnormal: far below what the other types hold
    }
}

fn from_half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        0 => fraction * 2f64.powi(-24),
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits & 0x8000 != 0 {
        -size
    } else {
        size
    }
}

/// The bits of a number that a half holds exactly.
fn to_half(x: f64) -> u16 {
    let sign = if x.is_sign_negative() { 0x8000 } else { 0 };
    let size = x.abs();
    if x.is_nan() {
        return 0x7e00;
    }
    if size.is_infinite() {
        return sign | 0x7c00;
    }
    if size < 2f64.powi(-14) {
        return sign | (size * 2f64.powi(24)) as u16;
    }
    let exponent = exponent_of(size);
    let fraction = (size * 2f64.powi(10 - exponent)) as u16 - 1024;
    sign | ((exponent + 15) as u16) << 10 | fraction
}

pub fn read(data: &[u8]) -> Result<Tensors, String> {
    if data.is_empty() {
        return Ok(Tensors::new());
    }
    let begin = data.get(..8).ok_or("safetensors: no length")?;
    let length = u64::from_le_bytes(begin.try_into().unwrap()) as usize;
    let text = data.get(8..8 + length).ok_or("safetensors: no header")?;
    let header = Json::parse(std::str::from_utf8(text).map_err(|error| error.to_string())?)?;
    let mut found = Tensors::new();
    for (name, about) in header.members().filter(|(name, _)| *name != "__metadata__") {
        let numbers = |what: &str| -> Vec<usize> {
            about
                .get(what)
                .items()
                .iter()
                .filter_map(Json::index)
                .collect()
        };
        let (dtype, shape, offsets) = (
            Dtype::named(about.get("dtype").text())?,
            numbers("shape"),
            numbers("data_offsets"),
        );
        let bytes = data
            .get(8 + length + offsets[0]..8 + length + offsets[1])
            .ok_or(format!("safetensors: {name} is outside of the data"))?;
        let values: Vec<f64> = bytes
            .chunks_exact(dtype.size())
            .map(|raw| match dtype {
                Dtype::F64 => f64::from_le_bytes(raw.try_into().unwrap()),
                Dtype::F32 => f32::from_le_bytes(raw.try_into().unwrap()) as f64,
                Dtype::F16 => from_half(u16::from_le_bytes(raw.try_into().unwrap())),
                Dtype::BF16 => {
                    f32::from_bits(u32::from(u16::from_le_bytes(raw.try_into().unwrap())) << 16)
                        as f64
                }
            })
            .collect();
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}");
        found.insert(
            name.clone(),
            Tensor {
                dtype,
                shape,
                values,
            },
        );
    }
    Ok(found)
}

pub fn write(tensors: &Tensors) -> Vec<u8> {
    if tensors.is_empty() {
        return Vec::new();
    }
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, tensor) in tensors {
        let begin = data.len();
        for &x in &tensor.values {
            match tensor.dtype {
                Dtype::F64 => data.extend(x.to_le_bytes()),
                Dtype::F32 => data.extend((x as f32).to_le_bytes()),
                Dtype::F16 => data.extend(to_half(x).to_le_bytes()),
                Dtype::BF16 => data.extend(((x as f32).to_bits() >> 16).to_le_bytes()[..2].iter()),
            }
        }
        let (dtype, shape, end) = (tensor.dtype, &tensor.shape, data.len());
        entries.push(format!("{name:?}:{{\"dtype\":\"{dtype:?}\",\"shape\":{shape:?},\"data_offsets\":[{begin},{end}]}}"));
    }
    let header = format!("{{{}}}", entries.join(","));
    [
        &(header.len() as u64).to_le_bytes(),
        header.as_bytes(),
        &data,
    ]
    .concat()
}
