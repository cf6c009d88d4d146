//! Times regorus on the policies of the engine suite: `regorus-bench < cases.json`, one line of JSON per case.
//!
//! regorus has two evaluators, the interpreter and the virtual machine. Both run warm, with policy, data and input
//! prepared; the faster one counts.

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine, Rc, Value};
use serde_json::{json, Value as Json};
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const BATCHES: usize = 11;
const BATCH: Duration = Duration::from_millis(30);
const WARM_UP: Duration = Duration::from_millis(300);

fn main() -> Outcome<()> {
    let cases: Vec<Json> = serde_json::from_reader(std::io::stdin())?;
    for case in cases {
        let evaluators = [("interpreter", interpreter as Evaluator), ("virtual machine", virtual_machine)];
        let outcomes: Vec<Json> = evaluators
            .iter()
            .map(|(evaluator, run)| match run(&case) {
                Ok((timing, answer)) => json!({ "evaluator": evaluator, "timing": timing, "answer": answer }),
                Err(error) => json!({ "evaluator": evaluator, "error": error.to_string() }),
            })
            .collect();
        println!("{}", json!({ "name": case["name"], "outcomes": outcomes }));
    }
    Ok(())
}

type Evaluator = fn(&Json) -> Outcome<(Json, Json)>;

fn interpreter(case: &Json) -> Outcome<(Json, Json)> {
    let (mut engine, rule, input) = prepare(case)?;
    let policy = engine.compile_with_entrypoint(&rule)?;
    measure(|| Ok(policy.eval_with_input(input.clone())?))
}

fn virtual_machine(case: &Json) -> Outcome<(Json, Json)> {
    let (mut engine, rule, input) = prepare(case)?;
    let policy = engine.compile_with_entrypoint(&rule)?;
    let program = Compiler::compile_from_policy(&policy, &[&rule])?;
    let mut machine = RegoVM::new();
    machine.load_program(program);
    machine.set_data(engine.get_data())?;
    measure(|| {
        machine.set_input(input.clone());
        Ok(machine.execute()?)
    })
}

fn prepare(case: &Json) -> Outcome<(Engine, Rc<str>, Value)> {
    let mut engine = Engine::new();
    for (i, module) in case["modules"].as_array().into_iter().flatten().enumerate() {
        engine.add_policy(format!("p{i}.rego"), module.as_str().unwrap_or_default().to_string())?;
    }
    engine.add_data_json(&case["data"].to_string())?;
    let rule: Rc<str> = case["rule"].as_str().unwrap_or_default().into();
    Ok((engine, rule, Value::from_json_str(&case["input"].to_string())?))
}

fn measure(mut run: impl FnMut() -> Outcome<Value>) -> Outcome<(Json, Json)> {
    let answer: Json = serde_json::from_str(&run()?.to_json_str()?)?;
    let started = Instant::now();
    let mut calls = 0u32;
    while started.elapsed() < WARM_UP {
        black_box(run()?);
        calls += 1;
    }
    let per_batch = ((BATCH.as_secs_f64() / (started.elapsed().as_secs_f64() / f64::from(calls))) as u32).max(1);
    let mut times = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let started = Instant::now();
        for _ in 0..per_batch {
            black_box(run()?);
        }
        times.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(per_batch));
    }
    times.sort_by(f64::total_cmp);
    let timing = json!({ "medianNs": times[BATCHES / 2], "minNs": times[0], "maxNs": times[BATCHES - 1], "batches": BATCHES });
    Ok((timing, answer))
}
