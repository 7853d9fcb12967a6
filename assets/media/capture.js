// Takes one frame of a screen that the person chooses, at full resolution, and uploads it as a PNG.
//
// Without a secure connection, and on phones, browsers have nothing to take it with: no button then.

const button = element.querySelector("button");
const said = element.querySelector(".said");
const tell = (text) => (said.textContent = text);

const makeName = () => {
  const now = new Date(Date.now() - new Date().getTimezoneOffset() * 60_000).toISOString();
  return `screenshot ${now.slice(0, 10)} ${now.slice(11, 19).replaceAll(":", ".")}.png`;
};

// The screen is let go as soon as there is a picture.
const takeFrame = async (stream) => {
  const video = document.createElement("video");
  try {
    video.muted = true;
    video.srcObject = stream;
    await video.play();
    if (video.requestVideoFrameCallback) {
      await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    }
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    return canvas;
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  }
};

const ask = () => {
  const controller = window.CaptureController ? new CaptureController() : undefined;
  const asked = navigator.mediaDevices.getDisplayMedia({
    video: true,
    audio: false,
    selfBrowserSurface: "exclude",
    ...(controller && { controller }),
  });
  // the person stays here, to ask about what was taken
  return asked.then((stream) => {
    try {
      controller?.setFocusBehavior("no-focus-change");
    } catch {
      // a whole screen has no focus to change
    }
    return stream;
  });
};

const take = async () => {
  tell("");
  let stream;
  try {
    stream = await ask();
  } catch (error) {
    // whoever changes their mind knows it
    if (error.name !== "NotAllowedError") tell(sightline.say("The browser gave no picture. Try another window."));
    return;
  }
  button.disabled = true;
  try {
    const canvas = await takeFrame(stream);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    const name = makeName();
    const { path, url } = await upload(new File([blob], name, { type: "image/png" }));
    const meta = { _type: "gradio.FileData" };
    props.value = { path, url, orig_name: name, size: blob.size, mime_type: "image/png", meta };
    trigger("capture");
  } catch (error) {
    tell(sightline.say("The picture could not be uploaded. Take it again."));
    throw error;
  } finally {
    button.disabled = false;
  }
};

sightline.fill(element);
button.hidden = !navigator.mediaDevices?.getDisplayMedia;
button.addEventListener("click", take);
