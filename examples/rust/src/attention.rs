//! Sigmoid attention, forward and backward.

use crate::json::Json;
use crate::tensors::{Dtype, Tensor, Tensors};
use std::ops::Range;

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        x.exp() / (1.0 + x.exp())
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// a += factor b
fn add(a: &mut [f64], factor: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(x, y)| *x += factor * y);
}

struct Options {
    scale: f64,
    bias: f64,
    causal: bool,
    window: Option<(f64, f64)>,
    key_lengths: Option<Vec<f64>>,
}

fn numbers(value: &Json) -> Option<Vec<f64>> {
    value
        .list()
        .map(|items| items.iter().filter_map(Json::number).collect())
}

impl Options {
    fn of(given: &Json, head_dim: usize) -> Options {
        Options {
            scale: given
                .get("scale")
                .number()
                .unwrap_or(1.0 / (head_dim as f64).sqrt()),
            bias: given.get("bias").number().unwrap_or(0.0),
            causal: given.get("causal").is_true(),
            window: numbers(given.get("window")).map(|sides| (sides[0], sides[1])),
            key_lengths: numbers(given.get("key_lengths")),
        }
    }

    fn sees(&self, batch: usize, key: f64, offset: f64) -> bool {
        let in_window = self.window.is_none_or(|(left, right)| {
            (left == -1.0 || offset >= -left) && (right == -1.0 || offset <= right)
        });
        let is_there = self
            .key_lengths
            .as_ref()
            .is_none_or(|lengths| key < lengths[batch]);
        in_window && is_there && !(self.causal && offset > 0.0)
    }
}

struct Call<'a> {
    options: Options,
    q: &'a Tensor,
    k: &'a Tensor,
    v: &'a Tensor,
    output_gradient: Option<&'a Tensor>,
    slopes: Option<&'a Tensor>,
    output: Tensor,
    dq: Tensor,
    dk: Tensor,
    dv: Tensor,
    dbias: Tensor,
    dslopes: Tensor,
}

/// The output and all gradients by their names; these are zeros where there is no output_gradient.
pub fn attention(given: &Json, inputs: &Tensors) -> Result<Tensors, String> {
    let input = |name: &str| inputs.get(name).ok_or(format!("there is no {name}"));
    let (q, k, v) = (input("q")?, input("k")?, input("v")?);
    let slopes = inputs.get("alibi_slopes");
    let wide = if q.dtype == Dtype::F64 {
        Dtype::F64
    } else {
        Dtype::F32
    };
    let mut call = Call {
        options: Options::of(given, q.shape[3]),
        q,
        k,
        v,
        output_gradient: inputs.get("output_gradient"),
        slopes,
        output: Tensor::zeros(q.dtype, &[q.shape[0], q.shape[1], q.shape[2], v.shape[3]]),
        dq: Tensor::zeros(q.dtype, &q.shape),
        dk: Tensor::zeros(q.dtype, &k.shape),
        dv: Tensor::zeros(q.dtype, &v.shape),
        dbias: Tensor::zeros(wide, &[]),
        dslopes: Tensor::zeros(wide, slopes.map_or(&[0], |x| &x.shape)),
    };
    match (
        numbers(given.get("cu_seqlens_q")),
        numbers(given.get("cu_seqlens_k")),
    ) {
        (Some(edges_q), Some(edges_k)) => {
            for (row, (own, keys)) in edges_q.windows(2).zip(edges_k.windows(2)).enumerate() {
                call.sequence(
                    0,
                    row,
                    own[0] as usize..own[1] as usize,
                    keys[0] as usize..keys[1] as usize,
                );
            }
        }
        _ => (0..q.shape[0]).for_each(|b| call.sequence(b, b, 0..q.shape[2], 0..k.shape[2])),
    }
    let named = [
        ("output", call.output),
        ("gradient_q", call.dq),
        ("gradient_k", call.dk),
        ("gradient_v", call.dv),
        ("gradient_bias", call.dbias),
        ("gradient_alibi_slopes", call.dslopes),
    ];
    let rounded = |mut tensor: Tensor| {
        tensor
            .values
            .iter_mut()
            .for_each(|x| *x = tensor.dtype.round(*x));
        tensor
    };
    Ok(named
        .into_iter()
        .map(|(name, tensor)| (name.to_string(), rounded(tensor)))
        .collect())
}

impl Call<'_> {
    /// Queries and keys of one batch row, or of one packed sequence; `row` is where its slopes are.
    fn sequence(&mut self, batch: usize, row: usize, queries: Range<usize>, keys: Range<usize>) {
        let (heads, key_heads) = (self.q.shape[1], self.k.shape[1]);
        let shift = keys.len() as f64 - queries.len() as f64;
        for head in 0..heads {
            let own = if self.slopes.is_some_and(|x| x.shape.len() == 2) {
                row * heads + head
            } else {
                head
            };
            let key_head = batch * key_heads + head / (heads / key_heads);
            for i in queries.clone() {
                for j in keys.clone() {
                    let key = (j - keys.start) as f64;
                    let offset = key - ((i - queries.start) as f64 + shift);
                    if self.options.sees(batch, key, offset) {
                        let at = (batch * heads + head) * self.q.shape[2] + i;
                        self.pair(at, key_head * self.k.shape[2] + j, own, offset.abs());
                    }
                }
            }
        }
    }

    /// What one query and one key give each other.
    fn pair(&mut self, query: usize, key: usize, own: usize, distance: f64) {
        let (d, dv) = (self.q.shape[3], self.v.shape[3]);
        let (query_d, key_d) = (query * d..(query + 1) * d, key * d..(key + 1) * d);
        let (query_v, key_v) = (query * dv..(query + 1) * dv, key * dv..(key + 1) * dv);
        let (q, k, v) = (
            &self.q.values[query_d.clone()],
            &self.k.values[key_d.clone()],
            &self.v.values[key_v.clone()],
        );
        let slope = self.slopes.map_or(0.0, |x| x.values[own]);
        let s = self.options.scale * dot(q, k) + self.options.bias - slope * distance;
        let p = sigmoid(s);
        add(&mut self.output.values[query_v.clone()], p, v);
        let Some(gradient) = self.output_gradient else {
            return;
        };
        let gradient = &gradient.values[query_v];
        let ds = p * sigmoid(-s) * dot(gradient, v); // sigmoid(-s) is 1 - p
        add(&mut self.dv.values[key_v], p, gradient);
        add(&mut self.dq.values[query_d], self.options.scale * ds, k);
        add(&mut self.dk.values[key_d], self.options.scale * ds, q);
        self.dbias.values[0] += ds;
        if self.slopes.is_some() {
            self.dslopes.values[own] -= ds * distance;
        }
    }
}
