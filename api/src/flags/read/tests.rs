//! Files of every accepted shape, and every way in which a file is none.

use super::*;

const HEADER: &str = "id,feature_name,operation,gate_name,value,user,created_at\n";

fn csv(lines: &str) -> String {
    format!("{HEADER}{lines}")
}

fn sample(id: u64) -> Row {
    Row {
        id,
        feature_name: "new_form".to_owned(),
        operation: "enable".to_owned(),
        gate_name: Some("percentage_of_actors".to_owned()),
        value: Some("5".to_owned()),
        user: Some("pat@example.com".to_owned()),
        created_at_us: 1_737_558_009_777_000,
    }
}

#[test]
fn every_shape_of_a_row_reads_alike() {
    let line = "7,new_form,enable,percentage_of_actors,5,pat@example.com,2025-01-22 15:00:09.777\n";
    let object = r#"{"id": 7, "feature_name": "new_form", "operation": "enable",
        "gate_name": "percentage_of_actors", "value": "5", "user": "pat@example.com",
        "created_at": "2025-01-22T15:00:09.777Z"}"#;
    let one_line = object.replace('\n', " ");
    let files = [
        csv(line),
        format!("\u{feff}{}", csv(line)).replace('\n', "\r\n"),
        csv(&line.replace("new_form", "\"new_form\"")),
        "created_at,id,value,user,operation,feature_name,gate_name\n\
         2025-01-22 15:00:09.777+00,7,5,pat@example.com,enable,new_form,percentage_of_actors\n"
            .to_owned(),
        format!("[{object}]"),
        format!("\n [{}]", object.replace("7,", "\"7\",").replace("\"5\"", "5")),
        one_line,
    ];
    for file in files {
        let export = read(file.as_bytes()).unwrap_or_else(|e| panic!("{e}: {file}"));
        assert!(export.rows == [sample(7)], "{file}");
        assert_eq!((export.rows_in_file, export.ignored_columns.len()), (1, 0), "{file}");
    }
}

#[test]
fn empty_fields_are_absent_ones() {
    let files = [
        csv("1,f,add,,,,2025-01-22 15:00:00\n"),
        csv("1,f,add,\"\",\"\",\" \",2025-01-22 15:00:00\n"),
        r#"[{"id":1,"feature_name":"f","operation":"add","gate_name":null,"value":"","created_at":"2025-01-22 15:00:00"}]"#.to_owned(),
    ];
    for file in files {
        let row = read(file.as_bytes()).unwrap().rows.remove(0);
        assert_eq!((row.gate_name, row.value, row.user), (None, None, None), "{file}");
    }
}

#[test]
fn rows_come_by_number_and_each_once() {
    let line = |id: u64, at: &str| format!("{id},f,add,,,,{at}\n");
    let file = csv(&(line(9, "2025-01-02 00:00:00")
        + &line(3, "2025-01-03 00:00:00")
        + &line(9, "2025-01-02T00:00:00Z")));
    let export = read(file.as_bytes()).unwrap();
    let ids: Vec<u64> = export.rows.iter().map(|row| row.id).collect();
    assert_eq!((ids, export.rows_in_file), (vec![3, 9], 3));

    let file = csv(&(line(9, "2025-01-02 00:00:00") + &line(9, "2025-01-03 00:00:00")));
    let error = read(file.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("line 3: id 9 stands in line 2 too"), "{error}");
}

#[test]
fn columns_that_are_not_read_are_named() {
    let file = "id,feature_name,operation,gate_name,value,user,created_at,updated_at,team,pat@example.com\n\
                1,f,add,,,,2025-01-22 15:00:00,2025-01-22 15:00:00,x,y\n";
    let export = read(file.as_bytes()).unwrap();
    assert_eq!(export.ignored_columns, ["updated_at", "team", "(an e-mail address)"]);
    let file = r#"[{"id":1,"feature_name":"f","operation":"add","created_at":"2025-01-22 15:00:00","updated_at":null,"team":{"a":1}}]"#;
    assert_eq!(read(file.as_bytes()).unwrap().ignored_columns, ["team", "updated_at"]);
}

#[test]
fn an_expression_may_be_an_object() {
    let file = r#"[{"id":1,"feature_name":"f","operation":"enable","gate_name":"expression","value":{"Any":[]},"created_at":"2025-01-22 15:00:00"}]"#;
    assert_eq!(read(file.as_bytes()).unwrap().rows[0].value.as_deref(), Some(r#"{"Any":[]}"#));
}

#[test]
fn a_bad_place_is_named_with_a_way_out_and_not_repeated() {
    let ok = "1,f,add,,,,2025-01-22 15:00:00\n";
    let text = |file: &str| file.as_bytes().to_vec();
    let rows: Vec<(Vec<u8>, &str)> = vec![
        (text(""), "line 1: the file is empty"),
        (text(" \n"), "line 1: the file is empty"),
        (text("secret,feature_name\n1,f\n"), "line 1: the header lacks the columns id, operation"),
        (text(&csv("1,f,add,,,2025-01-22 15:00:00\n")), "line 2: 6 fields where the header has 7"),
        (text(&csv(&format!("{ok}x,secret,add,,,,2025-01-22 15:00:00\n"))), "line 3: id is no"),
        (text(&csv("-1,f,add,,,,2025-01-22 15:00:00\n")), "line 2: id is no"),
        (text(&csv("9007199254740992,f,add,,,,2025-01-22 15:00:00\n")), "line 2: id is no"),
        (text(&csv(",f,add,,,,2025-01-22 15:00:00\n")), "line 2: id is missing"),
        (text(&csv("1,,add,,,,2025-01-22 15:00:00\n")), "line 2 (id 1): feature_name is missing"),
        (text(&csv("1,f,,,,,2025-01-22 15:00:00\n")), "line 2 (id 1): operation is missing"),
        (text(&csv("1,f,add,,,,\n")), "line 2 (id 1): created_at is missing"),
        (text(&csv("1,f,add,,,,secret\n")), "line 2 (id 1): created_at is no time"),
        ([csv("1,f\u{e9},add,,,,").as_bytes(), b"\xff\n"].concat(), "line 2: not UTF-8"),
        (text(&csv(&format!("{ok}\nx,,,,,,\n"))), "line 4: id is no"),
        (text(&csv(&format!("{ok}\n\nx\n"))), "line 5: 1 fields"),
        (text(&csv(&format!("{ok}x,,,,,,\n")).replace('\n', "\r\n")), "line 3: id is no"),
        (text("[{\"id\": secret}]"), "line 1 column 9: not JSON"),
        (text("[1]"), "row 1: not an object"),
        (text("[{\"id\":1,\"feature_name\":[\"secret\"]}]"), "row 1: feature_name is not a text"),
        (text("{\"id\":1}\n{\"id\":"), "row 1 (id 1): created_at is missing"),
    ];
    for (file, words) in rows {
        let error = read(&file).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(words), "{message}");
        assert!(!message.contains("secret") && !error.advice.is_empty(), "{message}");
    }
}
