//! Run the vectors of a folder: print what fails with the bug that the vector exists to catch.

use crate::ademamix::AdEMAMix;
use crate::attention::attention;
use crate::json::Json;
use crate::tensors::{read, Tensor, Tensors};

/// The number of failures.
pub fn run(folder: &str) -> Result<usize, String> {
    Ok(run_system(folder, "ademamix")? + run_system(folder, "sigmoid_attention")?)
}

fn run_system(folder: &str, system: &str) -> Result<usize, String> {
    let contents = |name: &str| {
        std::fs::read(format!("{folder}/{name}")).map_err(|error| format!("{name}: {error}"))
    };
    let text = String::from_utf8(contents(&format!("{system}.json"))?)
        .map_err(|error| error.to_string())?;
    let file = Json::parse(&text)?;
    let arrays = read(&contents(file.get("arrays").text())?)?;
    let vectors = file.get("vectors").list().ok_or("no vectors")?;
    let mut failures = 0;
    for vector in vectors {
        let inputs: Tensors = vector
            .get("inputs")
            .members()
            .map(|(name, key)| (name.clone(), arrays[key.text()].clone()))
            .collect();
        let given = vector.get("parameters");
        let got = if system == "ademamix" {
            run_optimizer(given, &inputs)?
        } else {
            attention(given, &inputs)?
        };
        for (name, keys) in vector.get("expected").members() {
            let found = margin(
                &got[name],
                &arrays[keys.get("values").text()],
                &arrays[keys.get("bounds").text()],
            );
            if found <= 1.0 {
                continue;
            }
            failures += 1;
            let rule = file
                .get("requirements")
                .get(vector.get("requirements").items()[0].text());
            println!(
                "FAIL {}, {name}: margin {found:.3}",
                vector.get("name").text()
            );
            println!(
                "     {}\n     catches: {}",
                rule.get("statement").text(),
                rule.get("catches").text()
            );
        }
    }
    println!("{system}: {} vectors, {failures} failures", vectors.len());
    Ok(failures)
}

/// The largest |error| / bound; up to 1 is right.
fn margin(got: &Tensor, expected: &Tensor, bounds: &Tensor) -> f64 {
    if got.values.len() != expected.values.len() {
        return f64::INFINITY;
    }
    let errors = got
        .values
        .iter()
        .zip(&expected.values)
        .zip(&bounds.values)
        .map(|((&x, &value), &bound)| {
            let error = (x - value).abs() / bound;
            match () {
                () if x == value || bound.is_infinite() => 0.0,
                () if error.is_nan() => f64::INFINITY,
                () => error,
            }
        });
    errors.fold(0.0, f64::max)
}

/// The parameters after every step.
fn run_optimizer(given: &Json, inputs: &Tensors) -> Result<Tensors, String> {
    let mut optimizer = AdEMAMix::new(given.get("switch_at").index().is_some());
    let (mut now, mut after) = (Tensors::new(), Tensors::new());
    for step in 0..given.get("steps").index().ok_or("no steps")? {
        if given.get("switch_at").index() == Some(step) {
            optimizer.switch();
        }
        if given.get("resume_after").index() == Some(step) {
            let (arrays, state) = optimizer.save();
            optimizer = AdEMAMix::load(&arrays, &Json::parse(&state)?)?;
        }
        for group in given.get("groups").items() {
            let eta = group.get("learning_rates").items()[step]
                .number()
                .ok_or("no learning rate")?;
            let hypers = group.get("hyperparameters").items();
            let hyper = hypers
                .iter()
                .rfind(|h| h.get("from_step").index() <= Some(step))
                .ok_or("no hyperparameters")?;
            for name in group.get("parameters").items().iter().map(Json::text) {
                let joins = given.get("joins_at").get(name).index().unwrap_or(0);
                if step < joins {
                    continue;
                }
                let key = format!("theta.{name}");
                let theta = now
                    .entry(key.clone())
                    .or_insert_with(|| inputs[&key].clone());
                let size = theta.values.len();
                let row =
                    &inputs[&format!("gradients.{name}")].values[(step - joins) * size..][..size];
                let missing = given.get("missing").get(name).items();
                if !missing.iter().any(|each| each.index() == Some(step)) {
                    optimizer.step(name, hyper, eta, theta, row);
                }
                let rows = after
                    .entry(key)
                    .or_insert_with(|| Tensor::zeros(theta.dtype, &[0]));
                rows.values.extend(&theta.values);
            }
        }
    }
    Ok(after)
}
