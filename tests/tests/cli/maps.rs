//! Where a network looks.

use std::fs;

use crate::common::{Faces, call, refusal};

#[test]
fn mistakes_and_a_picture_have_maps_where_the_network_has_a_global_average() {
    let faces = Faces::draw();
    let (data, picture, map) = (faces.path("faces"), faces.path("faces/test/happy/0000.png"), faces.path("map.png"));
    let train = |preset: &str| {
        let out = faces.path(preset);
        let groups = ["--groups", "none", "--preset", preset];
        call(&[&["train", "--data", &data, "--config", &faces.config, "--out", &out][..], &groups].concat())
            .expect("it trains");
        let page = String::from_utf8(faces.read(&format!("{preset}/report.html"))).expect("UTF-8");
        (format!("{out}/model.blob"), page.contains("class activation maps"))
    };
    let (blob, has_maps) = train("resnet8");
    assert!(has_maps, "the mistakes have no maps");
    call(&["predict", &blob, &picture, "--cam", &map]).expect("it predicts");
    assert_eq!(image::open(&map).expect("a picture").to_rgb8().dimensions(), (16, 16));
    assert!(refusal(&["predict", &blob, &picture, &picture, "--cam", &map]).contains("of one image"));
    let alone = faces.path("model.blob");
    fs::copy(&blob, &alone).expect("copied");
    assert!(refusal(&["predict", &alone, &picture, "--cam", &map]).contains("beside the blob"));

    let (blob, has_maps) = train("shallow");
    assert!(!has_maps, "maps that are none");
    assert!(refusal(&["predict", &blob, &picture, "--cam", &map]).contains("no class activation map"));
}
