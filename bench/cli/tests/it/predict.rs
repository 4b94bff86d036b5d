//! `predict` on costs that are given, and files that are no costs.

use quorumark_sim::model::costs::{Cost, CostFile, Item, VerifyCost};
use serde_json::{Map, Value};

use crate::program::Program;
use crate::schema::satisfies;

/// Steps that cost a microsecond each.
fn costs() -> CostFile {
    let cost = |item: &Item| Cost {
        name: item.name().to_owned(),
        unit: item.unit().to_owned(),
        value: match item {
            Item::Tick => 4e6,
            Item::SocketSendByte | Item::SocketReceiveByte => 1.0,
            _ => 1e3,
        },
        spread: None,
        how: "made up".to_owned(),
    };
    CostFile {
        schema_version: 1,
        measured_at: "2026-11-28T10:00:00Z".to_owned(),
        provenance: Map::new(),
        environment: Map::new(),
        cores: 2,
        pace_us: Some(300.0),
        payload: 512,
        keys: 4096,
        costs: Item::ALL.iter().map(cost).collect(),
        verify: vec![VerifyCost { signatures: 1, keys: 4, value: 2e4, spread: Some(0.1) }],
    }
}

fn with(costs: &CostFile) -> Program {
    Program::new().file("quorumark-costs.json", serde_json::to_string(costs).unwrap())
}

#[test]
fn without_costs_one_line_says_to_calibrate() {
    let ended = Program::new().run(&["predict", "pbft"]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
    assert!(ended.stderr.contains("run `quorumark calibrate` first"), "{ended:?}");
}

#[test]
fn a_file_that_is_no_cost_model_is_refused_in_one_line_that_says_why() {
    type Spoil = fn(&mut CostFile);
    let spoilt: [(Spoil, &str); 6] = [
        (|file| file.schema_version = 9, "version 9"),
        (|file| drop(file.costs.pop()), "tells 0 costs of `socket_receive_byte`"),
        (|file| file.costs.push(file.costs[0].clone()), "tells 2 costs of `turn`"),
        (|file| file.costs[1].name = "queen".to_owned(), "`queen`, which is no step"),
        (|file| file.costs[0].value = -1.0, "turn = -1, and 0 to 1000000000000 can be"),
        (|file| file.verify.clear(), "no cost of verification"),
    ];
    for (spoil, said) in spoilt {
        let mut file = costs();
        spoil(&mut file);
        let ended = with(&file).run(&["predict", "pbft"]);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        let line = &ended.stderr;
        assert!(line.contains(said) && line.contains("calibrate` again"), "{ended:?}");
    }
    let cut = &serde_json::to_string(&costs()).unwrap()[..200];
    let ended =
        Program::new().file("cut.json", cut).run(&["predict", "pbft", "--costs", "cut.json"]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
    assert!(ended.stderr.contains("cut.json: is no cost model"), "{ended:?}");
}

#[test]
fn a_prediction_lists_every_cost_and_its_source_and_repeats_itself() {
    let program = with(&costs());
    satisfies(&serde_json::to_value(costs()).unwrap(), "costs");
    let text = program.run(&["predict", "pbft", "--replicas", "7"]).done().stdout;
    assert!(Item::ALL.iter().all(|item| text.contains(item.name())), "{text}");
    assert!(text.contains("made up") && text.contains("tx/s at saturation"), "{text}");
    let json = || program.run(&["predict", "pbft", "--regions", "lan", "--json"]).done().stdout;
    let (first, again) = (json(), json());
    assert_eq!(first, again);
    let document: Value = serde_json::from_str(&first).unwrap();
    assert!(document["saturated"]["throughput_tx_per_s"].as_f64().unwrap() > 1000.0, "{document}");
    // Five ways of 50 us, and the half millisecond that a batch waits for company.
    assert!(document["half_load"]["response_time_ns_p50"].as_f64().unwrap() > 7e5, "{document}");
}
