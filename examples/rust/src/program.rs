//! Answer the suite's requests: a line of JSON each, with safetensors behind it.

use crate::ademamix::AdEMAMix;
use crate::attention::attention;
use crate::json::Json;
use crate::tensors::{read, write, Tensors};
use std::io::{BufRead, Read, Write};

const DTYPES: &str = r#""dtypes": ["float32", "float64", "float16", "bfloat16"]"#;
const OPTIMIZER: &str = r#""features": ["schedules", "separate-warmups", "beta1-zero", "weight-decay", "groups", "missing-gradients",
 "late-parameters", "state-round-trip", "switch", "moments"]"#;
const ATTENTION: &str = r#""features": ["backward", "bias", "bias_gradient", "scale", "causal", "rectangular", "window", "alibi",
 "slope_gradient", "gqa", "key_lengths", "packed", "value_dim", "odd_head_dim"]"#;

pub fn serve() -> Result<(), String> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut optimizer = AdEMAMix::new(false);
    loop {
        let mut line = String::new();
        if input
            .read_line(&mut line)
            .map_err(|error| error.to_string())?
            == 0
        {
            return Ok(());
        }
        let request = Json::parse(&line)?;
        let mut data = vec![0; request.get("bytes").index().unwrap_or(0)];
        input
            .read_exact(&mut data)
            .map_err(|error| error.to_string())?;
        let id = request.get("id").index().ok_or("a request without an id")?;
        let (words, arrays) = match answer(&mut optimizer, &request, read(&data)?) {
            Ok(answered) => answered,
            Err(message) => (format!("\"error\": {message:?}"), Tensors::new()),
        };
        let blob = write(&arrays);
        let comma = if words.is_empty() { "" } else { ", " };
        let head = format!(
            "{{\"id\": {id}{comma}{}, \"bytes\": {}}}\n",
            words.replace('\n', ""),
            blob.len()
        );
        let written = output
            .write_all(head.as_bytes())
            .and_then(|()| output.write_all(&blob))
            .and_then(|()| output.flush());
        written.map_err(|error| error.to_string())?;
    }
}

/// What stands in the answer's line behind the id, and the arrays.
fn answer(
    optimizer: &mut AdEMAMix,
    request: &Json,
    mut given: Tensors,
) -> Result<(String, Tensors), String> {
    let mut arrays = Tensors::new();
    match request.get("op").text() {
        "describe" => {
            let features = if request.get("system").text() == "ademamix" {
                OPTIMIZER
            } else {
                ATTENTION
            };
            return Ok((format!("{DTYPES}, {features}"), arrays));
        }
        "call" => {
            let mut results = attention(request.get("parameters"), &given)?;
            for name in request.get("results").items() {
                let found = results
                    .remove(name.text())
                    .ok_or(format!("no result {:?}", name.text()))?;
                arrays.insert(name.text().to_string(), found);
            }
        }
        "start" => *optimizer = AdEMAMix::new(request.get("adamw").is_true()),
        "switch" => optimizer.switch(),
        "step" => {
            for group in request.get("groups").items() {
                let eta = group
                    .get("learning_rate")
                    .number()
                    .ok_or("no learning rate")?;
                for name in group.get("parameters").items().iter().map(Json::text) {
                    let mut theta = given
                        .remove(&format!("theta.{name}"))
                        .ok_or(format!("no theta of {name}"))?;
                    if let Some(gradient) = given.get(&format!("gradient.{name}")) {
                        optimizer.step(name, group, eta, &mut theta, &gradient.values);
                    }
                    arrays.insert(format!("theta.{name}"), theta);
                }
            }
        }
        "save" | "moments" => {
            let (moments, state) = optimizer.save();
            return Ok((format!("\"state\": {state}"), moments));
        }
        "load" => *optimizer = AdEMAMix::load(&given, request.get("state"))?,
        other => return Ok((format!("\"unsupported\": \"no {other}\""), arrays)),
    }
    Ok((String::new(), arrays))
}
